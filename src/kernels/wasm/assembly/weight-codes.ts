import { LOW_NIBBLES, constant } from './constants';
import { STRIP_ROWS, TYPE_Q4_0, TYPE_Q4_1, TYPE_Q5_0, TYPE_Q5_1, TYPE_Q6_K, TYPE_Q8_0 } from './commands';
import { codeOffset, codesBytes, hasMinimum, isNibble, superBytes } from './packed-weights';
import { firstStep, f16ToF32, loadI8x4AsF32, loadU8x4AsF32, step, widen } from './simd';

/**
 * What differs between weight types in a product. `type` is a constant wherever these are inlined. A quad is 4 of a strip's 16 rows, a half
 * 16 of a group's 32 columns.
 */

/** Row j of 64 bytes, quad by quad. Offsets are constants: that is how an engine sees that two loads are neighbours. */
// @ts-ignore: decorator
@inline
function loadQuad(w: usize, j: i32, quad: i32): v128 {
  const row = w + <usize>(j << 6);
  if (quad == 0) return v128.load(row);
  if (quad == 1) return v128.load(row, 16);
  if (quad == 2) return v128.load(row, 32);
  return v128.load(row, 48);
}

/** Codes of columns 4j..4j+3 of a half: nibbles hold the first half low and the second half high. */
// @ts-ignore: decorator
@inline
export function codes4(type: i32, w: usize, j: i32, quad: i32, half: i32): v128 {
  if (!isNibble(type)) return loadQuad(w, j + 4 * half, quad);
  const bytes = loadQuad(w, j, quad);
  return v128.and(half ? i16x8.shr_u(bytes, 4) : bytes, constant(LOW_NIBBLES));
}

/** The low (part 0) or high (part 1) four bits of 8-bit codes. */
// @ts-ignore: decorator
@inline
export function nibbles4(w: usize, j: i32, quad: i32, half: i32, part: i32): v128 {
  const bytes = loadQuad(w, j + 4 * half, quad);
  return v128.and(part ? i16x8.shr_u(bytes, 4) : bytes, constant(LOW_NIBBLES));
}

/** Products of 16 columns with 16 activations, summed in 16 bits as long as they fit: four of codes up to 31, two of up to 63. */
// @ts-ignore: decorator
@inline
export function sum4(
  type: i32,
  c0: v128,
  c1: v128,
  c2: v128,
  c3: v128,
  t0: v128,
  t1: v128,
  t2: v128,
  t3: v128,
): v128 {
  if (type == TYPE_Q6_K) {
    return i32x4.add(widen(step(t1, c1, firstStep(t0, c0))), widen(step(t3, c3, firstStep(t2, c2))));
  }
  return widen(step(t3, c3, step(t2, c2, step(t1, c1, firstStep(t0, c0)))));
}

/** Whether the middle that codes are stored above is taken off as an integer: where it is large, or halves have scales of their own. */
// @ts-ignore: decorator
@inline
export function hasIntegerOffset(type: i32): bool {
  return type == TYPE_Q6_K || type == TYPE_Q8_0;
}

/** A quad of 16 halves. */
// @ts-ignore: decorator
@inline
function halves4(address: usize, quad: i32): v128 {
  if (quad == 0) return f16ToF32(v128.load_ext<i16>(address));
  if (quad == 1) return f16ToF32(v128.load_ext<i16>(address, 8));
  if (quad == 2) return f16ToF32(v128.load_ext<i16>(address, 16));
  return f16ToF32(v128.load_ext<i16>(address, 24));
}

/** Scales of a quad in half a group; `top` is where its super-scales are. */
// @ts-ignore: decorator
@inline
export function scalesOf(type: i32, w: usize, top: usize, quad: i32, half: i32): v128 {
  const scales = w + <usize>codesBytes(type);
  if (superBytes(type) == 0) return halves4(scales, quad);
  const q = <usize>(quad << 2);
  if (type == TYPE_Q6_K) return f32x4.mul(halves4(top, quad), loadI8x4AsF32(scales + <usize>(half * STRIP_ROWS) + q));
  return f32x4.mul(halves4(top, quad), loadU8x4AsF32(scales + q));
}

/** Whether what a group adds has a part that depends on its activations' sum alone: minima, or the middle that codes are stored above. */
// @ts-ignore: decorator
@inline
export function hasRowTerm(type: i32): bool {
  return hasMinimum(type) || type == TYPE_Q4_0 || type == TYPE_Q5_0;
}

/** What the sum of scaled activations is multiplied with. */
// @ts-ignore: decorator
@inline
export function rowTermOf(type: i32, w: usize, top: usize, quad: i32, scales: v128): v128 {
  if (!hasMinimum(type)) return f32x4.mul(scales, f32x4.splat(-<f32>codeOffset(type)));
  const minima = w + <usize>codesBytes(type);
  if (type == TYPE_Q4_1 || type == TYPE_Q5_1) return halves4(minima + 2 * STRIP_ROWS, quad);
  const superMinima = halves4(top + 2 * STRIP_ROWS, quad);
  return f32x4.neg(f32x4.mul(superMinima, loadU8x4AsF32(minima + STRIP_ROWS + <usize>(quad << 2))));
}
