import { BYTE_SIGNS, constant, HIGH_NIBBLES, LOW_NIBBLES } from './constants';
import { dot, firstStep, loadF16x4, loadU8x4AsF32, step, sumLanes4, widen } from './simd';
import { QUERY_EXACT_SUM, QUERY_ZERO } from './tile-scratch';

/**
 * Unpacks a 4-bit plane to a byte a code (0..15).
 *
 * @param numCodes codes of all rows, a multiple of 64
 */
export function unpackPlane(plane: usize, numCodes: i32, out: usize): void {
  const mask = constant(LOW_NIBBLES);
  const end = out + <usize>numCodes;
  let source = plane;
  for (let target = out; target < end; target += 64) {
    const a = v128.load(source), b = v128.load(source, 16);
    v128.store(target, v128.and(a, mask));
    v128.store(target, v128.and(i16x8.shr_u(a, 4), mask), 16);
    v128.store(target, v128.and(b, mask), 32);
    v128.store(target, v128.and(i16x8.shr_u(b, 4), mask), 48);
    source += 32;
  }
}

/** Puts two planes together to signed bytes (code - 128). */
export function unpackPlanes(highPlane: usize, lowPlane: usize, numCodes: i32, out: usize): void {
  const mask = constant(LOW_NIBBLES);
  const top = constant(HIGH_NIBBLES);
  const sign = constant(BYTE_SIGNS);
  const end = <usize>numCodes >> 1;
  let target = out;
  for (let offset: usize = 0; offset < end; offset += 16) {
    const h = v128.load(highPlane + offset);
    const l = v128.load(lowPlane + offset);
    v128.store(target, v128.xor(v128.or(v128.and(i16x8.shl(h, 4), top), v128.and(l, mask)), sign));
    v128.store(target, v128.xor(v128.or(v128.and(h, top), v128.and(i16x8.shr_u(l, 4), mask)), sign), 16);
    target += 32;
  }
}

/** Sums of the rows of unpacked codes, as i32; rows of at most 2,048 codes, so that 16 bits hold the sums of a lane. */
export function sumRows(codes: usize, numRows: i32, rowCodes: i32, sums: usize): void {
  const n = <usize>rowCodes;
  for (let row = 0; row < numRows; row += 4) {
    const first = codes + <usize>row * n;
    v128.store(
      sums + (<usize>row << 2),
      sumLanes4(sumRow(first, n), sumRow(first + n, n), sumRow(first + 2 * n, n), sumRow(first + 3 * n, n)),
    );
  }
}

// @ts-ignore: decorator
@inline
function sumRow(row: usize, n: usize): v128 {
  let sum = i16x8.extadd_pairwise_i8x16_s(v128.load(row));
  for (let i: usize = 16; i < n; i += 16) sum = i16x8.add(sum, i16x8.extadd_pairwise_i8x16_s(v128.load(row + i)));
  return i32x4.extadd_pairwise_i16x8_s(sum);
}

/** Decodes `count` halves (a multiple of 4). */
export function decodeF16(halves: usize, count: i32, out: usize): void {
  for (let i: usize = 0; i < <usize>count; i += 4) v128.store(out + (i << 2), loadF16x4(halves + (i << 1)));
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

/** Middle of the codes. */
export const MIDDLE_4_BITS: f32 = 7.5;
export const MIDDLE_8_BITS: f32 = 127.5;

/**
 * Adds to a query's scalar term what rounding took from its integers, times the middle of the codes m: sum u k = sum u (k - m) + m sum u,
 * where only the first sum needs rounded u. Codes are all positive, so that rounding errors would add up otherwise; and what all channels of
 * V have in common is gathered in one channel when the rotation is undone. (4 bits, 64 channels: a ninth of the largest error.)
 *
 * @param sum of the integers; the exact sum is among the scalars
 */
// @ts-ignore: decorator
@inline
export function addRest(sum: i32, scale: f32, middle: f32, s: usize): void {
  const rest = load<f32>(s + QUERY_EXACT_SUM) - scale * <f32>sum;
  store<f32>(s + QUERY_ZERO, load<f32>(s + QUERY_ZERO) + middle * rest);
}

// ---- integer dot products of rows of codes with one vector of n bytes ----

/**
 * Lane i: row i of four, n apart, times the vector; codes 0..15 and signed bytes. `n` is a multiple of 32. The first 64 bytes of the
 * vector come in registers, since most heads and all pages have 64.
 */
// @ts-ignore: decorator
@inline
export function dotRows4(row: usize, n: usize, vector: usize, v0: v128, v1: v128, v2: v128, v3: v128): v128 {
  if (n < 64) return dotRows32(row, n, vector);
  let total = dotRows64(row, n, v0, v1, v2, v3);
  if (n == 64) return total;
  let first: usize = 64;
  for (; first + 64 <= n; first += 64) {
    const u0 = v128.load(vector + first), u1 = v128.load(vector + first, 16);
    const u2 = v128.load(vector + first, 32), u3 = v128.load(vector + first, 48);
    total = i32x4.add(total, dotRows64(row + first, n, u0, u1, u2, u3));
  }
  return first < n ? i32x4.add(total, dotRows32(row + first, n, vector + first)) : total;
}

// @ts-ignore: decorator
@inline
function dotRows64(row: usize, n: usize, v0: v128, v1: v128, v2: v128, v3: v128): v128 {
  return sumLanes4(
    widen(step64(row, v0, v1, v2, v3)),
    widen(step64(row + n, v0, v1, v2, v3)),
    widen(step64(row + 2 * n, v0, v1, v2, v3)),
    widen(step64(row + 3 * n, v0, v1, v2, v3)),
  );
}

// @ts-ignore: decorator
@inline
function step64(row: usize, v0: v128, v1: v128, v2: v128, v3: v128): v128 {
  let sum = firstStep(v0, v128.load(row));
  sum = step(v1, v128.load(row, 16), sum);
  sum = step(v2, v128.load(row, 32), sum);
  return step(v3, v128.load(row, 48), sum);
}

/** The last 32 bytes. */
function dotRows32(row: usize, n: usize, vector: usize): v128 {
  const v0 = v128.load(vector), v1 = v128.load(vector, 16);
  return sumLanes4(
    widen(step32(row, v0, v1)),
    widen(step32(row + n, v0, v1)),
    widen(step32(row + 2 * n, v0, v1)),
    widen(step32(row + 3 * n, v0, v1)),
  );
}

// @ts-ignore: decorator
@inline
function step32(row: usize, v0: v128, v1: v128): v128 {
  return step(v1, v128.load(row, 16), firstStep(v0, v128.load(row)));
}

/** The same for signed codes and a vector of two 7-bit planes: 128 * high + low. */
// @ts-ignore: decorator
@inline
export function dotRows4Planes(row: usize, n: usize, high: usize, low: usize): v128 {
  let a = i32x4.splat(0), b = a, c = a, e = a, f = a, g = a, h = a, k = a;
  for (let j: usize = 0; j < n; j += 32) {
    const u0 = v128.load(high + j), u1 = v128.load(high + j, 16);
    const l0 = v128.load(low + j), l1 = v128.load(low + j, 16);
    let p = row + j;
    let r0 = v128.load(p), r1 = v128.load(p, 16);
    a = dot(r1, u1, dot(r0, u0, a));
    f = dot(r1, l1, dot(r0, l0, f));
    p += n;
    r0 = v128.load(p);
    r1 = v128.load(p, 16);
    b = dot(r1, u1, dot(r0, u0, b));
    g = dot(r1, l1, dot(r0, l0, g));
    p += n;
    r0 = v128.load(p);
    r1 = v128.load(p, 16);
    c = dot(r1, u1, dot(r0, u0, c));
    h = dot(r1, l1, dot(r0, l0, h));
    p += n;
    r0 = v128.load(p);
    r1 = v128.load(p, 16);
    e = dot(r1, u1, dot(r0, u0, e));
    k = dot(r1, l1, dot(r0, l0, k));
  }
  return i32x4.add(i32x4.shl(sumLanes4(a, b, c, e), 7), sumLanes4(f, g, h, k));
}
