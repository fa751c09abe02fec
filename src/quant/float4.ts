import { E4M3_MAX, e4m3Bits, e4m3Value } from './float8.ts';
import type { RoundedValues } from './float8.ts';
import { decodeSmallFloat, encodeSmallFloat, smallFloat } from './small-float.ts';

/**
 * FP4 E2M1 as the OCP Microscaling specification (version 1.0) has it: 0, .5, 1, 1.5, 2, 3, 4, 6 and their negatives. No
 * format of the cache: what ours are compared with.
 */
const E2M1 = smallFloat(8, 1, 0);

/** Largest value of E2M1. */
export const E2M1_MAX = 6;

/** Elements that share an E4M3 scale. */
export const NVFP4_BLOCK = 16;

/** Nearest E2M1, ties to even, as its 4 bits. Beyond +-6 it is +-6. @throws RangeError for NaN, which it does not have */
export function e2m1Bits(value: number): number {
  if (Number.isNaN(value)) throw new RangeError('E2M1 has no NaN');
  return encodeSmallFloat(E2M1, value);
}

/** The value of an E2M1; exact. @param bits 0..15 */
export function e2m1Value(bits: number): number {
  return decodeSmallFloat(E2M1, bits);
}

/**
 * Rows through a format like NVFP4: blocks of 16 elements of E2M1 with an E4M3 scale each, and one float32 scale for
 * the tensor, chosen as NVIDIA's recipe does: the greatest magnitude of the tensor is 6 * 448 of them, that of a block
 * 6 times its scale.
 *
 * @param data [numRows, numCols], finite; blocks run along the columns, and the last of a row may be shorter
 * @throws RangeError if the data are not whole rows
 */
export function roundToNvfp4(data: Float32Array, numCols: number): RoundedValues {
  if (data.length % numCols !== 0) throw new RangeError(`${data.length} values are no rows of ${numCols}`);
  const tensorScale = Math.fround(greatestMagnitude(data) / (E2M1_MAX * E4M3_MAX));
  const values = new Float32Array(data.length);
  let numBlocks = 0;
  for (let row = 0; row < data.length; row += numCols) {
    for (let col = 0; col < numCols; col += NVFP4_BLOCK) {
      const block = data.subarray(row + col, row + Math.min(col + NVFP4_BLOCK, numCols));
      values.set(roundBlock(block, tensorScale), row + col);
      numBlocks++;
    }
  }
  return { values, bitsPerElement: 4 + (8 * numBlocks + 32) / data.length };
}

function roundBlock(block: Float32Array, tensorScale: number): Float32Array {
  const blockScale = tensorScale === 0 ? 0 : e4m3Value(e4m3Bits(greatestMagnitude(block) / E2M1_MAX / tensorScale));
  const scale = blockScale * tensorScale;
  return block.map((value) => (scale === 0 ? 0 : e2m1Value(e2m1Bits(value / scale)) * scale));
}

function greatestMagnitude(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
