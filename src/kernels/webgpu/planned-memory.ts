import type { KernelsConfig } from '../kernels.ts';
import type { WeightType } from '../weight-types.ts';
import { bytesOfPart } from './attention-kernels.ts';
import { StepBuffer } from './step-buffer.ts';
import { packedBytes } from './weight-packing.ts';

/** What the webgpu backend allocates, before there is a device. */

const FLOAT_BYTES = 4;

export function webgpuMatrixBytes(type: WeightType, numRows: number, numCols: number): number {
  return packedBytes(type, numRows * numCols);
}

/** Of an operand: float32, int8, and two float32 numbers for 16 columns. */
export function webgpuOperandRowBytes(width: number): number {
  return width * (FLOAT_BYTES + 1 + (2 * FLOAT_BYTES) / 16);
}

/** Lists of steps, parts of attention, the rotary table; on the device, and once more where the process writes them. */
export function webgpuScratchBytes(config: KernelsConfig): { reserved: number; resident: number } {
  const { maxRows, ropeFrequencies } = config;
  const { numBytes, maxParts } = StepBuffer.sizesOf(config);
  const parts = maxParts * bytesOfPart(config);
  const rope = 2 * maxRows * ropeFrequencies.length * FLOAT_BYTES;
  const bytes = 2 * (numBytes + rope) + parts;
  return { reserved: bytes, resident: bytes };
}
