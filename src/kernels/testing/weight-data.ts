import { normalStream, uniformStream } from '../../../test/random-data.ts';
import { f16Bits } from '../../quant/f16.ts';
import { dequantize } from '../reference/dequantize.ts';
import type { WeightType } from '../weight-types.ts';
import { rowBytes, WEIGHT_TYPES } from '../weight-types.ts';

/** Where the f16 scales of a block lie; the other bytes may be any. */
const SCALE_OFFSETS: Readonly<Partial<Record<WeightType, readonly number[]>>> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
};

/** A weight matrix as a file holds it, and as float32. */
export interface RandomWeights {
  readonly type: WeightType;
  readonly numRows: number;
  readonly numCols: number;
  readonly bytes: Uint8Array;
  /** [numRows, numCols] */
  readonly values: Float32Array;
}

/** Blocks of random codes with scales of either sign, among them zero and denormal ones; floats are Gaussian. */
export function randomWeights(type: WeightType, numRows: number, numCols: number, seed = 1): RandomWeights {
  const bytes = new Uint8Array(numRows * rowBytes(type, numCols));
  const scales = SCALE_OFFSETS[type];
  if (scales) fillBlocks(bytes, WEIGHT_TYPES[type].blockBytes, scales, seed);
  else fillFloats(bytes, type, seed);
  const values = new Float32Array(numRows * numCols);
  dequantize(type, bytes, values);
  return { type, numRows, numCols, bytes, values };
}

function fillBlocks(bytes: Uint8Array, blockBytes: number, scales: readonly number[], seed: number): void {
  const uniform = uniformStream(seed);
  const normal = normalStream(seed + 1);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(uniform() * 256);
  for (let block = 0; block * blockBytes < bytes.length; block++) {
    const factor = block % 11 === 3 ? 0 : block % 11 === 7 ? 1e-6 : 0.02;
    for (const offset of scales) view.setUint16(block * blockBytes + offset, f16Bits(factor * normal()), true);
  }
}

function fillFloats(bytes: Uint8Array, type: WeightType, seed: number): void {
  const normal = normalStream(seed);
  const view = new DataView(bytes.buffer);
  const step = WEIGHT_TYPES[type].blockBytes;
  for (let i = 0; i < bytes.length; i += step) {
    const value = normal() * (i % 7 === 3 ? 1e-7 : 1);
    if (type === 'F32') view.setFloat32(i, value, true);
    else if (type === 'F16') view.setUint16(i, f16Bits(value), true);
    else setBf16(view, i, value);
  }
}

function setBf16(view: DataView, at: number, value: number): void {
  const float = new DataView(new ArrayBuffer(4));
  float.setFloat32(0, value, true);
  view.setUint16(at, float.getUint16(2, true), true);
}
