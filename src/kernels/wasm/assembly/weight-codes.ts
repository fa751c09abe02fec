import { LOW_NIBBLES, constant } from './constants';
import { TYPE_Q4_0, TYPE_Q4_1, TYPE_Q4_K, TYPE_Q5_0, TYPE_Q5_1, TYPE_Q5_K, TYPE_Q6_K, TYPE_Q8_0 } from './commands';
import { codeOffset, hasMinimum, isNibble } from './packed-weights';
import { GROUP_SUMS } from './row-quantize';
import { firstStep, f16ToF32, loadI8x4AsF32, loadU8x4AsF32, step, widen } from './simd';

/** What differs between weight types in a product. `type` is a constant wherever these are inlined. */

/** What a load takes at a constant distance; unrolled, since an engine sees that two loads are neighbours only by constant offsets. */
// @ts-ignore: decorator
@inline
function loadCodes(w: usize, j: i32, quad: i32): v128 {
  if (quad == 0) {
    if (j == 0) return v128.load(w);
    if (j == 1) return v128.load(w, 32);
    if (j == 2) return v128.load(w, 64);
    if (j == 3) return v128.load(w, 96);
    if (j == 4) return v128.load(w, 128);
    if (j == 5) return v128.load(w, 160);
    if (j == 6) return v128.load(w, 192);
    return v128.load(w, 224);
  }
  if (j == 0) return v128.load(w, 16);
  if (j == 1) return v128.load(w, 48);
  if (j == 2) return v128.load(w, 80);
  if (j == 3) return v128.load(w, 112);
  if (j == 4) return v128.load(w, 144);
  if (j == 5) return v128.load(w, 176);
  if (j == 6) return v128.load(w, 208);
  return v128.load(w, 240);
}

/** Codes of columns 4j..4j+3 of 4 rows: nibbles hold the group's first half low and its second half high. */
// @ts-ignore: decorator
@inline
export function codes4(type: i32, w: usize, j: i32, quad: i32): v128 {
  if (!isNibble(type)) return loadCodes(w, j, quad);
  const bytes = loadCodes(w, j & 3, quad);
  return v128.and(j < 4 ? bytes : i16x8.shr_u(bytes, 4), constant(LOW_NIBBLES));
}

// @ts-ignore: decorator
@inline
function halvesAt(w: usize, offset: i32, quad: i32): v128 {
  if (offset == 0) return f16ToF32(quad ? v128.load_ext<i16>(w, 8) : v128.load_ext<i16>(w));
  if (offset == 16) return f16ToF32(quad ? v128.load_ext<i16>(w, 24) : v128.load_ext<i16>(w, 16));
  if (offset == 128) return f16ToF32(quad ? v128.load_ext<i16>(w, 136) : v128.load_ext<i16>(w, 128));
  if (offset == 144) return f16ToF32(quad ? v128.load_ext<i16>(w, 152) : v128.load_ext<i16>(w, 144));
  if (offset == 256) return f16ToF32(quad ? v128.load_ext<i16>(w, 264) : v128.load_ext<i16>(w, 256));
  return f16ToF32(quad ? v128.load_ext<i16>(w, 280) : v128.load_ext<i16>(w, 272));
}

/** Products of 16 columns of 4 rows with 16 activations, as float32. They are summed as integers, in 16 bits as long as they fit. */
// @ts-ignore: decorator
@inline
export function product16(
  type: i32,
  c0: v128,
  c1: v128,
  c2: v128,
  c3: v128,
  t0: v128,
  t1: v128,
  t2: v128,
  t3: v128,
  group: usize,
  half: i32,
): v128 {
  let sum: v128;
  if (type == TYPE_Q8_0) {
    const mask = constant(LOW_NIBBLES);
    const low = sum4(v128.and(c0, mask), v128.and(c1, mask), v128.and(c2, mask), v128.and(c3, mask), t0, t1, t2, t3);
    const high = sum4(highNibbles(c0), highNibbles(c1), highNibbles(c2), highNibbles(c3), t0, t1, t2, t3);
    sum = i32x4.add(low, i32x4.shl(high, 4));
  } else if (type == TYPE_Q6_K) {
    sum = i32x4.add(widen(step(t1, c1, firstStep(t0, c0))), widen(step(t3, c3, firstStep(t2, c2))));
  } else {
    sum = sum4(c0, c1, c2, c3, t0, t1, t2, t3);
  }
  if (type == TYPE_Q8_0 || type == TYPE_Q6_K) {
    const sumOfCodes = <i32>load<i16>(group + <usize>(half << 1), GROUP_SUMS);
    sum = i32x4.sub(sum, i32x4.splat(codeOffset(type) * sumOfCodes));
  }
  return f32x4.convert_i32x4_s(sum);
}

/** Codes of at most 31. */
// @ts-ignore: decorator
@inline
function sum4(c0: v128, c1: v128, c2: v128, c3: v128, t0: v128, t1: v128, t2: v128, t3: v128): v128 {
  return widen(step(t3, c3, step(t2, c2, step(t1, c1, firstStep(t0, c0)))));
}

// @ts-ignore: decorator
@inline
function highNibbles(codes: v128): v128 {
  return v128.and(i16x8.shr_u(codes, 4), constant(LOW_NIBBLES));
}

/** Whether both halves of a group have a scale of their own. */
// @ts-ignore: decorator
@inline
export function scaleHalves(type: i32): bool {
  return type == TYPE_Q6_K;
}

/** Scales of rows 4 * quad to 4 * quad + 3 of a group (of its first half); `top` is where its super-scales are. */
// @ts-ignore: decorator
@inline
export function scalesOf(type: i32, w: usize, top: usize, quad: i32): v128 {
  const q = <usize>quad;
  if (type == TYPE_Q4_0 || type == TYPE_Q4_1) return halvesAt(w, 128, quad);
  if (type == TYPE_Q5_0 || type == TYPE_Q5_1 || type == TYPE_Q8_0) return halvesAt(w, 256, quad);
  const superScales = halvesAt(top, 0, quad);
  if (type == TYPE_Q4_K) return f32x4.mul(superScales, loadU8x4AsF32(w + 128 + 4 * q));
  if (type == TYPE_Q5_K) return f32x4.mul(superScales, loadU8x4AsF32(w + 256 + 4 * q));
  return f32x4.mul(superScales, loadI8x4AsF32(w + 256 + 4 * q));
}

/** Scales of a group's second half, where it has its own. */
// @ts-ignore: decorator
@inline
export function scaleOfHalf(type: i32, w: usize, top: usize, quad: i32): v128 {
  if (!scaleHalves(type)) return i32x4.splat(0);
  const q = <usize>quad;
  return f32x4.mul(halvesAt(top, 0, quad), loadI8x4AsF32(w + 264 + 4 * q));
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
  if (!hasRowTerm(type)) return scales;
  if (!hasMinimum(type)) return f32x4.mul(scales, f32x4.splat(-<f32>codeOffset(type)));
  const q = <usize>quad;
  if (type == TYPE_Q4_1) return halvesAt(w, 144, quad);
  if (type == TYPE_Q5_1) return halvesAt(w, 272, quad);
  const superMinima = halvesAt(top, 16, quad);
  const offset: usize = type == TYPE_Q4_K ? 136 : 264;
  return f32x4.neg(f32x4.mul(superMinima, loadU8x4AsF32(w + offset + 4 * q)));
}
