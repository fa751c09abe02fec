import { f16Value } from '../../quant/f16.ts';
import { readScaleAndMin } from '../reference/dequantize.ts';
import type { WeightType } from '../weight-types.ts';

/**
 * How weights of a type lie on the GPU (shaders/weights.wgsl). Codes are signed: those of 4 bits, in bytes of two, columns i and 16 + i of a group
 * of 32, others in a byte each. What codes of a type with minima count from is moved into the minimum.
 */
export interface Packing {
  readonly codeBits: 4 | 8 | 16 | 32;
  /** CODE_BITS of the shader, which tells the two floats of 16 bits apart. */
  readonly codeKind: number;
  /** SCALES of the shader. */
  readonly scaleKind: 0 | 1 | 2;
  /** Of a group of 32 columns. */
  readonly scaleBytes: number;
}

const HALF_SCALE = { scaleKind: 0, scaleBytes: 2 } as const;
const SCALE_AND_MINIMUM = { scaleKind: 1, scaleBytes: 8 } as const;
const TWO_SCALES = { scaleKind: 2, scaleBytes: 8 } as const;
const NO_SCALE = { scaleKind: 0, scaleBytes: 0 } as const;
const NIBBLES = { codeBits: 4, codeKind: 4 } as const;
const BYTES = { codeBits: 8, codeKind: 8 } as const;

const PACKINGS: Readonly<Record<WeightType, Packing>> = {
  F32: { codeBits: 32, codeKind: 32, ...NO_SCALE },
  F16: { codeBits: 16, codeKind: 16, ...NO_SCALE },
  BF16: { codeBits: 16, codeKind: 17, ...NO_SCALE },
  Q4_0: { ...NIBBLES, ...HALF_SCALE },
  Q4_1: { ...NIBBLES, ...SCALE_AND_MINIMUM },
  Q5_0: { ...BYTES, ...HALF_SCALE },
  Q5_1: { ...BYTES, ...SCALE_AND_MINIMUM },
  Q8_0: { ...BYTES, ...HALF_SCALE },
  Q4_K: { ...NIBBLES, ...SCALE_AND_MINIMUM },
  Q5_K: { ...BYTES, ...SCALE_AND_MINIMUM },
  Q6_K: { ...BYTES, ...TWO_SCALES },
};

export function packingOf(type: WeightType): Packing {
  return PACKINGS[type];
}

/** Bytes that a matrix of `numElements` takes. */
export function packedBytes(type: WeightType, numElements: number): number {
  const { codeBits, scaleBytes } = PACKINGS[type];
  return (numElements * codeBits) / 8 + (numElements / 32) * scaleBytes;
}

/** Packs the block at byte `from` of a quantized type: codes and scales to where they are said to go. */
export function packBlock(
  type: WeightType,
  view: DataView,
  from: number,
  codes: Uint8Array,
  codesAt: number,
  scales: DataView,
  scalesAt: number,
): void {
  PACKERS[type]?.(view, from, { codes, codesAt, scales, scalesAt });
}

interface Target {
  readonly codes: Uint8Array;
  readonly codesAt: number;
  readonly scales: DataView;
  readonly scalesAt: number;
}

/** What 4-bit codes count from, and 5-bit ones. */
const MIDDLE = { nibble: 8, five: 16 } as const;
/** Two codes of 4 bits less 8 each, as signed ones. */
const NIBBLE_SIGNS = 0x88;

const PACKERS: Partial<Record<WeightType, (view: DataView, from: number, target: Target) => void>> = {
  Q4_0(view, from, target) {
    copyScale(view, from, target);
    copyNibbles(view, from + 2, target);
  },
  Q4_1(view, from, target) {
    const [scale, minimum] = [halfAt(view, from), halfAt(view, from + 2)];
    writePair(target, 0, scale, minimum + MIDDLE.nibble * scale);
    copyNibbles(view, from + 4, target);
  },
  Q5_0(view, from, target) {
    copyScale(view, from, target);
    copyFives(view, from + 2, target);
  },
  Q5_1(view, from, target) {
    const [scale, minimum] = [halfAt(view, from), halfAt(view, from + 2)];
    writePair(target, 0, scale, minimum + MIDDLE.five * scale);
    copyFives(view, from + 4, target);
  },
  Q8_0(view, from, target) {
    copyScale(view, from, target);
    for (let i = 0; i < 32; i++) target.codes[target.codesAt + i] = view.getUint8(from + 2 + i);
  },
  Q4_K(view, from, target) {
    for (let group = 0; group < 8; group++) {
      const { scale, min } = readScaleAndMin(view, from, group);
      writePair(target, group, scale, MIDDLE.nibble * scale - min);
      const [at, shift] = [from + 16 + 32 * (group >> 1), 4 * (group & 1)];
      for (let i = 0; i < 16; i++) {
        const lo = (view.getUint8(at + i) >> shift) & 15;
        const hi = (view.getUint8(at + 16 + i) >> shift) & 15;
        target.codes[target.codesAt + 16 * group + i] = (lo | (hi << 4)) ^ NIBBLE_SIGNS;
      }
    }
  },
  Q5_K(view, from, target) {
    for (let group = 0; group < 8; group++) {
      const { scale, min } = readScaleAndMin(view, from, group);
      writePair(target, group, scale, MIDDLE.five * scale - min);
      const [at, shift] = [from + 48 + 32 * (group >> 1), 4 * (group & 1)];
      for (let i = 0; i < 32; i++) {
        const low = (view.getUint8(at + i) >> shift) & 15;
        const high = (view.getUint8(from + 16 + i) >> group) & 1;
        target.codes[target.codesAt + 32 * group + i] = (low | (high << 4)) - MIDDLE.five;
      }
    }
  },
  Q6_K(view, from, target) {
    const scale = halfAt(view, from + 208);
    for (let group = 0; group < 8; group++) {
      const [lo, hi] = [0, 1].map((half) => Math.fround(scale * view.getInt8(from + 192 + 2 * group + half)));
      writePair(target, group, lo, hi);
    }
    for (let i = 0; i < 256; i++) {
      const [half, quarter] = [i >> 7, (i >> 5) & 3];
      const low = view.getUint8(from + 64 * half + (i & 63)) >> (quarter < 2 ? 0 : 4);
      const high = view.getUint8(from + 128 + 32 * half + (i & 31)) >> (2 * quarter);
      target.codes[target.codesAt + i] = ((low & 15) | ((high & 3) << 4)) - 32;
    }
  },
};

function halfAt(view: DataView, at: number): number {
  return f16Value(view.getUint16(at, true));
}

function copyScale(view: DataView, from: number, { scales, scalesAt }: Target): void {
  scales.setUint16(scalesAt, view.getUint16(from, true), true);
}

function writePair({ scales, scalesAt }: Target, group: number, first: number, second: number): void {
  scales.setFloat32(scalesAt + 8 * group, first, true);
  scales.setFloat32(scalesAt + 8 * group + 4, second, true);
}

function copyNibbles(view: DataView, from: number, { codes, codesAt }: Target): void {
  for (let i = 0; i < 16; i++) codes[codesAt + i] = view.getUint8(from + i) ^ NIBBLE_SIGNS;
}

/** Four bytes of fifth bits, then 16 of nibbles. */
function copyFives(view: DataView, from: number, { codes, codesAt }: Target): void {
  const high = view.getUint32(from, true);
  for (let i = 0; i < 16; i++) {
    const byte = view.getUint8(from + 4 + i);
    codes[codesAt + i] = ((byte & 15) | (((high >>> i) & 1) << 4)) - MIDDLE.five;
    codes[codesAt + 16 + i] = ((byte >> 4) | (((high >>> (16 + i)) & 1) << 4)) - MIDDLE.five;
  }
}
