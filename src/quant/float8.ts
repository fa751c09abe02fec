import { decodeSmallFloat, encodeSmallFloat, smallFloat } from './small-float.ts';

/**
 * FP8 E4M3 as the OCP 8-bit floating point specification (revision 1.0) has it: a bias of 7, no infinities, NaN at 0x7f
 * and 0xff. No format of the cache: what ours are compared with.
 */
const E4M3 = smallFloat(127, 3, -6);
const NAN_CODE = 0x7f;

/** Largest value of E4M3. */
export const E4M3_MAX = 448;

/** Nearest E4M3, ties to even, as its 8 bits. Beyond +-448 it is +-448; a NaN is 0x7f. */
export function e4m3Bits(value: number): number {
  return Number.isNaN(value) ? NAN_CODE : encodeSmallFloat(E4M3, value);
}

/** The value of an E4M3; exact. @param bits 0..255 */
export function e4m3Value(bits: number): number {
  return (bits & NAN_CODE) === NAN_CODE ? NaN : decodeSmallFloat(E4M3, bits);
}

/** Values as a format stores them, and what it takes for an element. */
export interface RoundedValues {
  readonly values: Float32Array;
  /** Scales counted. */
  readonly bitsPerElement: number;
}

/**
 * A tensor through FP8 with one float32 scale, which puts the greatest magnitude at 448. A scale of 1, as caches in FP8
 * often have where nothing is calibrated, saturates beyond it.
 *
 * @param data finite
 */
export function roundToFloat8(data: Float32Array, scaling: 'tensor' | 'none'): RoundedValues {
  const greatest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = scaling === 'none' ? 1 : Math.fround(greatest / E4M3_MAX);
  const scaleBits = scaling === 'none' ? 0 : 32;
  const values = data.map((value) => (scale === 0 ? 0 : e4m3Value(e4m3Bits(value / scale)) * scale));
  return { values, bitsPerElement: 8 + scaleBits / data.length };
}
