import {
  constant,
  EXP2_1,
  EXP2_2,
  EXP2_3,
  EXP2_4,
  EXP2_5,
  HALF_FIELDS,
  INTEGER_BITS,
  LOG2_E,
  MAGNITUDE,
  MINUS_126,
  ONE,
  PLUS_127,
  ROUNDER,
  TWO_TO_112,
  WORDS_1,
} from './constants';

/** Small vector helpers, all inlined. */

// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * Integer dot products, exact on every machine: `a` holds signed bytes, `b` bytes in 0..127, so that no intermediate saturates. The
 * build sets DOT_PAIRS where the engine multiplies bytes to pairs (16-bit sums of two products: one VPMADDUBSW) faster than to
 * fours; pairs are then added in 16 bits as long as they fit, and widened once.
 *
 *     sum = firstStep(a, b); sum = step(a', b', sum) ...; result = widen(sum)
 *
 * At most 8 steps between widenings where |a| <= 128 and b <= 15, or the other way round; 4 where b <= 31; 2 where b <= 63; else `dotMixed`.
 */
// @ts-ignore: decorator
@inline
export function firstStep(a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD && DOT_PAIRS) return i16x8.relaxed_dot_i8x16_i7x16_s(a, b);
  return dot(a, b, i32x4.splat(0));
}

// @ts-ignore: decorator
@inline
export function step(a: v128, b: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD && DOT_PAIRS) return i16x8.add(sum, i16x8.relaxed_dot_i8x16_i7x16_s(a, b));
  return dot(a, b, sum);
}

/** Sums of four products each, i32x4. */
// @ts-ignore: decorator
@inline
export function widen(sum: v128): v128 {
  // Not extadd_pairwise: V8 multiplies with ones here too, and makes them anew each time.
  if (ASC_FEATURE_RELAXED_SIMD && DOT_PAIRS) return i32x4.dot_i16x8_s(sum, constant(WORDS_1));
  return sum;
}

/** acc[i] += sum of four products a[4i + j] * b[4i + j]. */
// @ts-ignore: decorator
@inline
function dot(a: v128, b: v128, acc: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, acc);
  const low = i16x8.extmul_low_i8x16_s(a, b);
  const high = i16x8.extmul_high_i8x16_s(a, b);
  // Pairs summed to 32 bits, then neighbours put together.
  const l = i32x4.extadd_pairwise_i16x8_s(low);
  const h = i32x4.extadd_pairwise_i16x8_s(high);
  const even = i8x16.shuffle(l, h, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
  const odd = i8x16.shuffle(l, h, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  return i32x4.add(acc, i32x4.add(even, odd));
}

// The same where only the sum over all lanes counts: without relaxed SIMD, products then need not be brought to their lanes. With |a| <= 128
// and b <= 15, at most 8 steps.

// @ts-ignore: decorator
@inline
export function firstMixed(a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return firstStep(a, b);
  return i16x8.add(i16x8.extmul_low_i8x16_s(a, b), i16x8.extmul_high_i8x16_s(a, b));
}

// @ts-ignore: decorator
@inline
export function mixed(a: v128, b: v128, sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return step(a, b, sum);
  return i16x8.add(sum, firstMixed(a, b));
}

// @ts-ignore: decorator
@inline
export function widenMixed(sum: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return widen(sum);
  return i32x4.extadd_pairwise_i16x8_s(sum);
}

/** acc + the products of one step, for any b in 0..127. */
// @ts-ignore: decorator
@inline
export function dotMixed(a: v128, b: v128, acc: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD && !DOT_PAIRS) return dot(a, b, acc);
  return i32x4.add(acc, widenMixed(firstMixed(a, b)));
}

/** To integers, for values that are known to be in their range: without the detour that the exact instruction takes for others. */
// @ts-ignore: decorator
@inline
export function truncate4(x: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.relaxed_trunc_f32x4_s(x);
  return i32x4.trunc_sat_f32x4_s(x);
}

/** The nearest integers, ties to even, for |x| below 2^22: where 1.5 * 2^23 is added, they are left in the lowest bits. */
// @ts-ignore: decorator
@inline
export function nearest4(x: v128): v128 {
  const magic = constant(INTEGER_BITS);
  return i32x4.sub(f32x4.add(x, magic), magic);
}

/** Fills a multiple of 16 bytes; the engine's own fill is a call. */
// @ts-ignore: decorator
@inline
export function fill16(address: usize, value: v128, numBytes: usize): void {
  for (let i: usize = 0; i < numBytes; i += 16) v128.store(address + i, value);
}

/** Lane i of the result is the sum of the lanes of the i-th argument. */
// @ts-ignore: decorator
@inline
export function sumLanes4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = i32x4.add(
    i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
    i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31),
  );
  const cd = i32x4.add(
    i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
    i8x16.shuffle(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31),
  );
  return i32x4.add(
    i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
    i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31),
  );
}

/** The same in float32; the order of additions is fixed: (l0 + l2) + (l1 + l3). */
// @ts-ignore: decorator
@inline
export function sumLanes4F32(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(
    i8x16.shuffle(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
    i8x16.shuffle(a, b, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31),
  );
  const cd = f32x4.add(
    i8x16.shuffle(c, d, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
    i8x16.shuffle(c, d, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31),
  );
  return f32x4.add(
    i8x16.shuffle(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
    i8x16.shuffle(ab, cd, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31),
  );
}

// @ts-ignore: decorator
@inline
export function sumLanes(a: v128): f32 {
  return (
    f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
  );
}

/** The sum of four integer lanes. */
// @ts-ignore: decorator
@inline
export function addLanes(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + (i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3));
}

/** Sum of 16 signed bytes, in four lanes. */
// @ts-ignore: decorator
@inline
export function sumBytes(bytes: v128): v128 {
  return i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(bytes));
}

/** The largest lane. The pseudo-maximum is one instruction where the exact one, which orders -0 and +0, is eight. */
// @ts-ignore: decorator
@inline
export function maxLanes(a: v128): f32 {
  const b = f32x4.pmax(a, i8x16.shuffle(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(f32x4.pmax(b, i8x16.shuffle(b, b, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)), 0);
}

/** The larger magnitude, lane by lane, `largest` being one already: magnitudes order as their bits do, and NaN above all. */
// @ts-ignore: decorator
@inline
export function maxMagnitude(largest: v128, x: v128): v128 {
  return i32x4.max_s(largest, v128.and(x, constant(MAGNITUDE)));
}

/** The largest of four magnitudes. */
// @ts-ignore: decorator
@inline
export function maxMagnitudeLanes(a: v128): f32 {
  const b = i32x4.max_s(a, i8x16.shuffle(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  const c = i32x4.max_s(b, i8x16.shuffle(b, b, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11));
  return f32x4.extract_lane(c, 0);
}

// @ts-ignore: decorator
@inline
export function minLanes(a: v128): f32 {
  return min(
    min(f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1)),
    min(f32x4.extract_lane(a, 2), f32x4.extract_lane(a, 3)),
  );
}

/** e^x for any x; below -87 it stays at 2^-126, above 88 at 2^127. */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  return exp2(f32x4.pmin(f32x4.mul(x, constant(LOG2_E)), constant(PLUS_127)));
}

/** e^x for x <= 0; below -87 it stays at 2^-126. */
// @ts-ignore: decorator
@inline
export function expNotAbove0(x: v128): v128 {
  return exp2(f32x4.mul(x, constant(LOG2_E)));
}

/**
 * 2^y for y <= 127, relative error below 3e-7 (times 1 + |y| / 5 for e^x, whose exponent is rounded); exactly 1 at 0, which merging of partial
 * softmaxes relies on. Adding 1.5 * 2^23 + 127 rounds y to an integer n and leaves n + 127 in the lowest bits; 2^r for r in [-0.5, 0.5] is 1 + r times a
 * polynomial through the Chebyshev nodes.
 */
// @ts-ignore: decorator
@inline
function exp2(y: v128): v128 {
  const clamped = f32x4.pmax(y, constant(MINUS_126));
  const shifted = f32x4.add(clamped, constant(ROUNDER));
  const r = f32x4.sub(clamped, f32x4.sub(shifted, constant(ROUNDER)));
  let p = madd(constant(EXP2_5), r, constant(EXP2_4));
  p = madd(p, r, constant(EXP2_3));
  p = madd(p, r, constant(EXP2_2));
  p = madd(p, r, constant(EXP2_1));
  p = madd(p, r, constant(ONE));
  return f32x4.mul(p, i32x4.shl(shifted, 23));
}

/**
 * x = e^(x - m) in place for numBytes (a multiple of 32) of float32, none above m: `expNotAbove0` for two vectors side by side, with what
 * it needs kept in registers.
 */
// @ts-ignore: decorator
@inline
export function expRow(x: usize, m: v128, numBytes: usize): void {
  const log2E = constant(LOG2_E), least = constant(MINUS_126), rounder = constant(ROUNDER), one = constant(ONE);
  const e1 = constant(EXP2_1), e2 = constant(EXP2_2), e3 = constant(EXP2_3), e4 = constant(EXP2_4), e5 = constant(EXP2_5);
  for (let i: usize = 0; i < numBytes; i += 32) {
    const a = f32x4.pmax(f32x4.mul(f32x4.sub(v128.load(x + i), m), log2E), least);
    const b = f32x4.pmax(f32x4.mul(f32x4.sub(v128.load(x + i, 16), m), log2E), least);
    const u = f32x4.add(a, rounder), v = f32x4.add(b, rounder);
    const r = f32x4.sub(a, f32x4.sub(u, rounder)), s = f32x4.sub(b, f32x4.sub(v, rounder));
    const p = madd(madd(madd(madd(madd(e5, r, e4), r, e3), r, e2), r, e1), r, one);
    const q = madd(madd(madd(madd(madd(e5, s, e4), s, e3), s, e2), s, e1), s, one);
    v128.store(x + i, f32x4.mul(q, i32x4.shl(v, 23)), 16);
    v128.store(x + i, f32x4.mul(p, i32x4.shl(u, 23)));
  }
}

// @ts-ignore: decorator
@inline
export function exp1NotAbove0(x: f32): f32 {
  return f32x4.extract_lane(expNotAbove0(f32x4.splat(x)), 0);
}

/** Four bytes at an address as float32. */
// @ts-ignore: decorator
@inline
export function loadU8x4AsF32(address: usize): v128 {
  const bytes = v128.load32_zero(address);
  return f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes)));
}

/** Four signed bytes at an address as float32. */
// @ts-ignore: decorator
@inline
export function loadI8x4AsF32(address: usize): v128 {
  const bytes = v128.load32_zero(address);
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes)));
}

/**
 * Four halves at an address as float32: the bits moved to float32's fields, and the exponent's bias put right by one exact
 * multiplication, which also normalizes denormals. (Infinities and NaN do not occur: writers clamp, loaders refuse.)
 */
// @ts-ignore: decorator
@inline
export function loadF16x4(address: usize): v128 {
  return f16ToF32(v128.load_ext<i16>(address));
}

/** The same of halves that have been read, each extended to 32 bits. */
// @ts-ignore: decorator
@inline
export function f16ToF32(halves: v128): v128 {
  const bits = v128.and(i32x4.shl(halves, 13), constant(HALF_FIELDS));
  return f32x4.mul(bits, constant(TWO_TO_112));
}

// @ts-ignore: decorator
@inline
export function loadF16(address: usize): f32 {
  return f32x4.extract_lane(loadF16x4Single(address), 0);
}

// @ts-ignore: decorator
@inline
function loadF16x4Single(address: usize): v128 {
  const halves = i32x4.splat(load<i16>(address));
  const bits = v128.and(i32x4.shl(halves, 13), constant(HALF_FIELDS));
  return f32x4.mul(bits, constant(TWO_TO_112));
}

/** Four bfloat16 at an address as float32. */
// @ts-ignore: decorator
@inline
export function loadBf16x4(address: usize): v128 {
  return i32x4.shl(i32x4.extend_low_i16x8_u(v128.load64_zero(address)), 16);
}

/** Stores four float32 as halves: nearest even, clamped to +-65504, NaN as 0x7e00 (docs/page-format.md). */
// @ts-ignore: decorator
@inline
export function storeF16x4(address: usize, x: v128): void {
  const sign = v128.and(x, i32x4.splat(0x80000000));
  // pmin(a, b) = b < a ? b : a, so NaN in the second place gives the first.
  const magnitude = f32x4.pmin(f32x4.splat(65504), v128.andnot(x, i32x4.splat(0x80000000)));
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(magnitude, i32x4.splat(0xfff)), odd);
  const normal = i32x4.sub(i32x4.shr_u(rounded, 13), i32x4.splat(112 << 10));
  // Below 2^-14: adding 0.5 lets the float unit round at half precision's last denormal bit.
  const denormal = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), f32x4.splat(0.5));
  const isNormal = f32x4.ge(magnitude, f32x4.splat(0.00006103515625));
  const number = v128.or(v128.bitselect(normal, denormal, isNormal), i32x4.shr_u(sign, 16));
  const half = v128.bitselect(number, i32x4.splat(0x7e00), f32x4.eq(x, x));
  const packed = i8x16.shuffle(half, half, 0, 1, 4, 5, 8, 9, 12, 13, 0, 1, 4, 5, 8, 9, 12, 13);
  v128.store64_lane(address, packed, 0);
}
