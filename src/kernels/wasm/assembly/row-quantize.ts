import { GROUP_BYTES } from './commands';

/**
 * Quantized rows: what the integer matmul multiplies weights with. Groups of 32 activations share a scale, codes are -127..127.
 *
 *     codes [K] i8 | positive parts [K] u7 | negative parts [K] u7 | per group: f32 scale, i16 sum of
 *     the codes 0..15, i16 sum of the codes 16..31, i32 sum of the negative parts, f32 scale x sum of the codes
 *
 * Signed 8-bit weights cannot be the 7-bit operand of the dot product, so there the activations are, split by sign.
 */

// @ts-ignore: decorator
@inline
export function quantizedRowBytes(width: i32): i32 {
  return 3 * width + (width >> 5) * GROUP_BYTES;
}

/** Quantizes `width` float32 (a multiple of 32) at `x` into the row at `out`. Scale: largest magnitude / 127, as in ggml's Q8_0. */
export function quantizeRow(x: usize, out: usize, width: i32): void {
  const positive = out + <usize>width;
  const negative = positive + <usize>width;
  let group = negative + <usize>width;
  for (let i = 0; i < width; i += 32) {
    quantizeGroup(x + (<usize>i << 2), out + <usize>i, positive + <usize>i, negative + <usize>i, group);
    group += GROUP_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function quantizeGroup(x: usize, codes: usize, positive: usize, negative: usize, group: usize): void {
  let largest = f32x4.abs(v128.load(x));
  for (let i: usize = 16; i < 128; i += 16) largest = f32x4.max(largest, f32x4.abs(v128.load(x + i)));
  const amax = max(
    max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
  // Below this the reciprocal overflows; such a group is nothing beside any other.
  const scale: f32 = amax < 1e-30 ? 0 : amax / 127;
  const inverse = f32x4.splat(amax < 1e-30 ? 0 : 127 / amax);
  const first = quantize16(x, codes, inverse);
  const second = quantize16(x + 64, codes + 16, inverse);
  const negativeSum = splitSigns(first, positive, negative) + splitSigns(second, positive + 16, negative + 16);
  const sum0 = sumBytes(first);
  const sum1 = sumBytes(second);
  store<f32>(group, scale);
  store<i16>(group + 4, <i16>sum0);
  store<i16>(group + 6, <i16>sum1);
  store<i32>(group + 8, negativeSum);
  store<f32>(group + 12, scale * <f32>(sum0 + sum1));
}

// @ts-ignore: decorator
@inline
function quantize16(x: usize, codes: usize, inverse: v128): v128 {
  const a = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x), inverse)));
  const b = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + 16), inverse)));
  const c = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + 32), inverse)));
  const d = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(x + 48), inverse)));
  const packed = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  v128.store(codes, packed);
  return packed;
}

// @ts-ignore: decorator
@inline
function splitSigns(codes: v128, positive: usize, negative: usize): i32 {
  const zero = i8x16.splat(0);
  const negated = i8x16.max_s(i8x16.neg(codes), zero);
  v128.store(positive, i8x16.max_s(codes, zero));
  v128.store(negative, negated);
  return sumBytes(negated);
}

// @ts-ignore: decorator
@inline
function sumBytes(codes: v128): i32 {
  const sums = i32x4.extadd_pairwise_i16x8_s(i16x8.extadd_pairwise_i8x16_s(codes));
  return (
    i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 2) + i32x4.extract_lane(sums, 3)
  );
}
