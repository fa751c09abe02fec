import { BYTE_ONES, BYTE_SIGNS, constant, HIGH_NIBBLES, LOW_NIBBLES } from './constants';
import { dot, loadU8x4AsF32, madd } from './simd';

/**
 * Unpacks a 4-bit plane to a byte a code (0..15), and sums each row.
 *
 * @param numRows rows of the plane
 * @param rowCodes codes of a row, a multiple of 32
 */
export function unpackPlane(plane: usize, numRows: i32, rowCodes: i32, out: usize, sums: usize): void {
  const mask = constant(LOW_NIBBLES);
  const ones = constant(BYTE_ONES);
  let target = out;
  let source = plane;
  for (let row = 0; row < numRows; row++) {
    let sum = i32x4.splat(0);
    for (let i = 0; i < rowCodes; i += 32) {
      const bytes = v128.load(source);
      const a = v128.and(bytes, mask);
      const b = v128.and(i16x8.shr_u(bytes, 4), mask);
      v128.store(target, a);
      v128.store(target, b, 16);
      sum = dot(ones, a, dot(ones, b, sum));
      source += 16;
      target += 32;
    }
    store<i32>(sums + (<usize>row << 2), addLanes(sum));
  }
}

/** Puts two planes together to signed bytes (code - 128), and sums each row. */
export function unpackPlanes(highPlane: usize, lowPlane: usize, numRows: i32, rowCodes: i32, out: usize, sums: usize): void {
  const mask = constant(LOW_NIBBLES);
  const sign = constant(BYTE_SIGNS);
  const ones = constant(BYTE_ONES);
  let target = out;
  let offset: usize = 0;
  for (let row = 0; row < numRows; row++) {
    let sum = i32x4.splat(0);
    for (let i = 0; i < rowCodes; i += 32) {
      const h = v128.load(highPlane + offset);
      const l = v128.load(lowPlane + offset);
      const top = constant(HIGH_NIBBLES);
      const a = v128.xor(v128.or(v128.and(i16x8.shl(h, 4), top), v128.and(l, mask)), sign);
      const b = v128.xor(v128.or(v128.and(h, top), v128.and(i16x8.shr_u(l, 4), mask)), sign);
      v128.store(target, a);
      v128.store(target, b, 16);
      sum = dot(a, ones, dot(b, ones, sum));
      offset += 16;
      target += 32;
    }
    store<i32>(sums + (<usize>row << 2), addLanes(sum));
  }
}

// @ts-ignore: decorator
@inline
function addLanes(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + (i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3));
}

/** Decodes `count` metadata bytes (a multiple of 4): lo + step * m. */
export function decodeMeta(bytes: usize, header: usize, count: i32, out: usize): void {
  const lo = v128.load32_splat(header);
  const step = v128.load32_splat(header, 4);
  for (let i: usize = 0; i < <usize>count; i += 4) {
    // Two operations, as the format says: values must be those that sealing rounded to.
    v128.store(out + (i << 2), f32x4.add(lo, f32x4.mul(step, loadU8x4AsF32(bytes + i))));
  }
}

/** sum of a[i] * b[i], four lanes then (l0 + l1) + (l2 + l3). `count` is a multiple of 4. */
// @ts-ignore: decorator
@inline
export function dotF32(a: usize, b: usize, count: i32): f32 {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>count << 2; i += 16) sum = madd(v128.load(a + i), v128.load(b + i), sum);
  return (
    f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1) + (f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3))
  );
}
