import { addLanes, maxMagnitude, maxMagnitudeLanes, sumBytes, truncate4 } from './simd';

/** Fields that follow the codes, for each group of 32. */
export const GROUP_BYTES = 16;
export const GROUP_SUMS: usize = 8;
export const GROUP_SCALED_SUM: usize = 12;

/**
 * Quantized rows: what the integer matmul multiplies weights with. 16 activations share a scale (docs/decisions/0003-activations.md: half
 * the error of 32); codes are -127..127.
 *
 *     codes [K] i8 | per 32: f32 scales of both halves, i16 sums of their codes, f32 sum of scale x sum of codes
 */

// @ts-ignore: decorator
@inline
export function quantizedRowBytes(width: i32): i32 {
  return width + (width >> 5) * GROUP_BYTES;
}

/** Quantizes `width` float32 (a multiple of 32) at `x` into the row at `out`. Scale: largest magnitude / 127. */
export function quantizeRow(x: usize, out: usize, width: i32): void {
  let group = out + <usize>width;
  for (let i = 0; i < width; i += 32) {
    quantizeGroup(x + (<usize>i << 2), out + <usize>i, group);
    group += GROUP_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function quantizeGroup(x: usize, codes: usize, group: usize): void {
  let scaledSum: f32 = 0;
  for (let half: usize = 0; half < 2; half++) {
    const offset = half << 4;
    scaledSum += quantizeHalf(x + (offset << 2), codes + offset, group, half);
  }
  store<f32>(group, scaledSum, GROUP_SCALED_SUM);
}

/** Returns scale x sum of the codes. */
function quantizeHalf(x: usize, codes: usize, group: usize, half: usize): f32 {
  let largest = maxMagnitude(i32x4.splat(0), v128.load(x));
  largest = maxMagnitude(largest, v128.load(x, 16));
  largest = maxMagnitude(largest, v128.load(x, 32));
  largest = maxMagnitude(largest, v128.load(x, 48));
  const amax = maxMagnitudeLanes(largest);
  // Below this the reciprocal overflows; such a group is nothing beside any other.
  const scale: f32 = amax < 1e-30 ? 0 : amax / 127;
  const packed = quantize16(x, codes, f32x4.splat(amax < 1e-30 ? 0 : 127 / amax));
  const sum = addLanes(sumBytes(packed));
  store<f32>(group + (half << 2), scale);
  store<i16>(group + (half << 1), <i16>sum, GROUP_SUMS);
  return scale * <f32>sum;
}

// @ts-ignore: decorator
@inline
function quantize16(x: usize, codes: usize, inverse: v128): v128 {
  const a = truncate4(f32x4.nearest(f32x4.mul(v128.load(x), inverse)));
  const b = truncate4(f32x4.nearest(f32x4.mul(v128.load(x + 16), inverse)));
  const c = truncate4(f32x4.nearest(f32x4.mul(v128.load(x + 32), inverse)));
  const d = truncate4(f32x4.nearest(f32x4.mul(v128.load(x + 48), inverse)));
  const packed = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  v128.store(codes, packed);
  return packed;
}
