import { LOW_NIBBLES, constant } from './constants';
import { TYPE_Q4_0, TYPE_Q4_1, TYPE_Q4_K, TYPE_Q5_0, TYPE_Q5_1, TYPE_Q5_K, TYPE_Q8_0 } from './commands';
import { codeOffset, isNibble } from './packed-weights';
import { GROUP_SUMS } from './row-quantize';
import { dot, firstDot, firstStep, loadF16x4, loadI8x4AsF32, loadU8x4AsF32, step, widen } from './simd';

/** What differs between weight types in a product. `type` is a constant wherever these are inlined. */

/** Sums of products add up in 16 bits where four of them fit. */
// @ts-ignore: decorator
@inline
function sumsFit16Bits(type: i32): bool {
  return isNibble(type) || type == TYPE_Q5_0 || type == TYPE_Q5_1 || type == TYPE_Q5_K;
}

/** sum + products of 4 columns of 4 rows of weights with 4 activations. */
// @ts-ignore: decorator
@inline
export function multiply4(type: i32, codes: v128, x: v128, sum: v128): v128 {
  // Signed weights are the signed operand; activations are then split by sign.
  if (type == TYPE_Q8_0) return dot(codes, x, sum);
  return sumsFit16Bits(type) ? step(x, codes, sum) : dot(x, codes, sum);
}

/** The first of these. */
// @ts-ignore: decorator
@inline
export function firstMultiply4(type: i32, codes: v128, x: v128): v128 {
  if (type == TYPE_Q8_0) return firstDot(codes, x);
  return sumsFit16Bits(type) ? firstStep(x, codes) : firstDot(x, codes);
}

/** The sum of four of these, in 32 bits. */
// @ts-ignore: decorator
@inline
export function widen4(type: i32, sum: v128): v128 {
  return sumsFit16Bits(type) ? widen(sum) : sum;
}

/** 4 activations of 16 in every lane. */
// @ts-ignore: decorator
@inline
export function lane0(x: v128): v128 {
  return i8x16.shuffle(x, x, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
}
// @ts-ignore: decorator
@inline
export function lane1(x: v128): v128 {
  return i8x16.shuffle(x, x, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
}
// @ts-ignore: decorator
@inline
export function lane2(x: v128): v128 {
  return i8x16.shuffle(x, x, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11);
}
// @ts-ignore: decorator
@inline
export function lane3(x: v128): v128 {
  return i8x16.shuffle(x, x, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
}

/** What makes up for codes that are stored with an offset, for half a group. */
// @ts-ignore: decorator
@inline
export function offsetOf(type: i32, group: usize, half: i32): v128 {
  return i32x4.splat(-codeOffset(type) * <i32>load<i16>(group + <usize>(half << 1), GROUP_SUMS));
}

/** Codes of 4 columns of 4 rows: nibbles hold the group's first half low and its second half high. */
// @ts-ignore: decorator
@inline
export function codes4(type: i32, w: usize, j: usize, quad: i32, half: i32): v128 {
  const address = w + (j << 5) + <usize>(quad << 4);
  if (!isNibble(type)) return v128.load(address + <usize>(half << 7));
  const bytes = v128.load(address);
  return v128.and(half ? i16x8.shr_u(bytes, 4) : bytes, constant(LOW_NIBBLES));
}

/** Scales of rows 4 * quad to 4 * quad + 3 of a group; `top` is where its super-scales are. */
// @ts-ignore: decorator
@inline
export function scalesOf(type: i32, w: usize, top: usize, quad: i32, half: i32): v128 {
  const q = <usize>quad;
  if (type == TYPE_Q4_0 || type == TYPE_Q4_1) return loadF16x4(w + 128 + 8 * q);
  if (type == TYPE_Q5_0 || type == TYPE_Q5_1 || type == TYPE_Q8_0) return loadF16x4(w + 256 + 8 * q);
  const superScales = loadF16x4(top + 8 * q);
  if (type == TYPE_Q4_K) return f32x4.mul(superScales, loadU8x4AsF32(w + 128 + 4 * q));
  if (type == TYPE_Q5_K) return f32x4.mul(superScales, loadU8x4AsF32(w + 256 + 4 * q));
  return f32x4.mul(superScales, loadI8x4AsF32(w + 256 + <usize>(half * 8) + 4 * q));
}

// @ts-ignore: decorator
@inline
export function minimaOf(type: i32, w: usize, top: usize, quad: i32): v128 {
  const q = <usize>quad;
  if (type == TYPE_Q4_1) return loadF16x4(w + 144 + 8 * q);
  if (type == TYPE_Q5_1) return loadF16x4(w + 272 + 8 * q);
  const superMinima = loadF16x4(top + 16 + 8 * q);
  const offset: usize = type == TYPE_Q4_K ? 136 : 264;
  return f32x4.neg(f32x4.mul(superMinima, loadU8x4AsF32(w + offset + 4 * q)));
}
