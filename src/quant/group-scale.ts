import type { CodeBits } from './bit-planes.ts';

/** What the codes of a group stand for: code q is worth `zeroPoint + scale * (q - center)`. */
export interface GroupScale {
  /** Distance of neighbouring levels; float32, finite, 0 where all levels are one. */
  readonly scale: number;
  /** Float32; 0 where codes are symmetric. */
  readonly zeroPoint: number;
}

/** Range of the codes and where their zero point lies in it. */
export interface CodeRange {
  readonly maxCode: number;
  readonly center: number;
}

const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;
const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/**
 * Asymmetric codes count from the zero point up. Symmetric ones lie around the middle of an odd number of levels, so that
 * zero is one of them and the last of the 2^bits codes is not used; those of one bit, which has no middle, are half a
 * step below and above zero.
 */
export function codeRange(bits: CodeBits, symmetric: boolean): CodeRange {
  if (!symmetric) return { maxCode: 2 ** bits - 1, center: 0 };
  return bits === 1 ? { maxCode: 1, center: 0.5 } : { maxCode: 2 ** bits - 2, center: 2 ** (bits - 1) - 1 };
}

/**
 * The least scale with which levels reach the whole group: (greatest - least) / (2^bits - 1) from the least value on, or
 * the greatest magnitude / (2^(bits - 1) - 1) around 0, rounded up to a float32 so that denormals are reached too. One
 * that is beyond float32, which only one bit can need, becomes the largest float32 number, with levels in the middle of
 * the group: the farthest value is then still within half a scale of one.
 *
 * @param values finite float32 numbers, at least one
 */
export function fitGroupScale(values: Float32Array, symmetric: boolean, { maxCode, center }: CodeRange): GroupScale {
  let lo = Infinity;
  let hi = -Infinity;
  for (const value of values) {
    lo = Math.min(lo, value);
    hi = Math.max(hi, value);
  }
  if (symmetric) return { scale: ceilFloat32(Math.max(-lo, hi) / center), zeroPoint: 0 };
  const scale = ceilFloat32((hi - lo) / maxCode);
  return { scale, zeroPoint: Math.fround(lo + Math.max(0, hi - lo - scale * maxCode) / 2) };
}

/** Writes the code of each value: that of the nearest level, the upper one of two. */
export function encodeGroup(
  values: Float32Array,
  { scale, zeroPoint }: GroupScale,
  { maxCode, center }: CodeRange,
  codes: Uint8Array,
): void {
  for (let i = 0; i < values.length; i++) {
    const level = scale === 0 ? 0 : (values[i] - zeroPoint) / scale;
    codes[i] = Math.min(Math.max(Math.round(level + center), 0), maxCode);
  }
}

/** Writes what codes stand for, as float32; what rounding would put beyond the largest is the largest. */
export function decodeGroup(
  codes: Uint8Array,
  { scale, zeroPoint }: GroupScale,
  { center }: CodeRange,
  values: Float32Array,
): void {
  for (let i = 0; i < codes.length; i++) {
    const value = zeroPoint + scale * (codes[i] - center);
    values[i] = Math.min(Math.max(value, -FLOAT32_MAX), FLOAT32_MAX);
  }
}

/** Least float32 number that is not below a number of at least 0; beyond the largest, the largest. */
function ceilFloat32(value: number): number {
  if (value >= FLOAT32_MAX) return FLOAT32_MAX;
  floatView[0] = value;
  if (floatView[0] < value) bitsView[0]++;
  return floatView[0];
}
