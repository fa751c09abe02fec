import { BYTE_SIGNS, constant, HIGH_NIBBLES, LOW_NIBBLES } from './constants';
import { PAIR_BYTES } from './row-dots';
import { f16ToF32, loadF16x4 } from './simd';
import { QUERY_EXACT_SUM, QUERY_ZERO } from './tile-scratch';

/**
 * Unpacks a 4-bit plane to a byte a code (0..15), in blocks of 8 rows as row-dots.ts wants them.
 *
 * @param rowCodes a multiple of 32; rows are a multiple of 8
 */
export function unpackPlane(plane: usize, numRows: i32, rowCodes: i32, out: usize): void {
  const rowBytes = <usize>(rowCodes >> 1);
  const end = plane + <usize>numRows * rowBytes;
  let target = out;
  if (rowCodes == 64) {
    for (let source = plane; source < end; source += 256) {
      for (let row: usize = 0; row < 128; row += 32) {
        unpackPair(source + row, source + row + 128, target + row);
        unpackPair(source + row + 16, source + row + 144, target + row + 256);
      }
      target += 512;
    }
    return;
  }
  for (let source = plane; source < end; source += 8 * rowBytes) {
    for (let chunk: usize = 0; chunk < rowBytes; chunk += 16) {
      let a = source + chunk, b = a + 4 * rowBytes;
      for (let into = target; into < target + 4 * PAIR_BYTES; into += PAIR_BYTES) {
        unpackPair(a, b, into);
        a += rowBytes;
        b += rowBytes;
      }
      target += 8 * PAIR_BYTES;
    }
  }
}

/** 32 codes of a row and of its partner. */
// @ts-ignore: decorator
@inline
function unpackPair(a: usize, b: usize, into: usize): void {
  const mask = constant(LOW_NIBBLES);
  const left = v128.load(a), right = v128.load(b);
  v128.store(into, v128.and(right, mask), 16);
  v128.store(into, v128.and(left, mask));
  v128.store(into, v128.and(i16x8.shr_u(right, 4), mask), 144);
  v128.store(into, v128.and(i16x8.shr_u(left, 4), mask), 128);
}

/** Puts two planes together to signed bytes (code - 128), in the same blocks. */
export function unpackPlanes(highPlane: usize, lowPlane: usize, numRows: i32, rowCodes: i32, out: usize): void {
  const mask = constant(LOW_NIBBLES);
  const top = constant(HIGH_NIBBLES);
  const sign = constant(BYTE_SIGNS);
  const rowBytes = <usize>(rowCodes >> 1);
  const lowOffset = lowPlane - highPlane;
  let source = highPlane;
  let target = out;
  for (let row = 0; row < numRows; row += 8) {
    for (let pair = 0; pair < 4; pair++) {
      let a = source, b = source + 4 * rowBytes;
      const end = source + rowBytes;
      let into = target;
      for (; a < end; a += 16) {
        const h0 = v128.load(a), h1 = v128.load(b);
        const l0 = v128.load(a + lowOffset), l1 = v128.load(b + lowOffset);
        v128.store(into, v128.xor(v128.or(v128.and(i16x8.shl(h1, 4), top), v128.and(l1, mask)), sign), 16);
        v128.store(into, v128.xor(v128.or(v128.and(i16x8.shl(h0, 4), top), v128.and(l0, mask)), sign));
        v128.store(into, v128.xor(v128.or(v128.and(h1, top), v128.and(i16x8.shr_u(l1, 4), mask)), sign), 144);
        v128.store(into, v128.xor(v128.or(v128.and(h0, top), v128.and(i16x8.shr_u(l0, 4), mask)), sign), 128);
        b += 16;
        into += 8 * PAIR_BYTES;
      }
      source += rowBytes;
      target += PAIR_BYTES;
    }
    source += 4 * rowBytes;
    target += <usize>(rowCodes << 3) - 4 * PAIR_BYTES;
  }
}

/** Decodes `count` halves (a multiple of 4). */
export function decodeF16(halves: usize, count: i32, out: usize): void {
  for (let i: usize = 0; i < <usize>count; i += 4) v128.store(out + (i << 2), loadF16x4(halves + (i << 1)));
}

/**
 * Decodes f16 rows of d channels in blocks of 8 rows: for 4 channels at a time: for r in 0..3: those of row r, those of row r + 4. Rows
 * beyond the last are copies of it.
 */
export function decodeF16Pairs(halves: usize, numRows: i32, d: i32, out: usize): void {
  const rowBytes = <usize>d << 1;
  let target = out;
  for (let block = 0; block < numRows; block += 8) {
    for (let pair = 0; pair < 4; pair++) {
      let a = halves + <usize>min(block + pair, numRows - 1) * rowBytes;
      let b = halves + <usize>min(block + pair + 4, numRows - 1) * rowBytes;
      const end = a + rowBytes;
      let into = target;
      for (; a < end; a += 8) {
        const left = f16ToF32(v128.load_ext<i16>(a)), right = f16ToF32(v128.load_ext<i16>(b));
        v128.store(into, right, 16);
        v128.store(into, left);
        b += 8;
        into += 4 * PAIR_BYTES;
      }
      target += PAIR_BYTES;
    }
    target += (<usize>d << 5) - 4 * PAIR_BYTES;
  }
}

/** Decodes `count` metadata bytes (a multiple of 8): lo + step * m. */
export function decodeMeta(bytes: usize, header: usize, count: i32, out: usize): void {
  const lo = v128.load32_splat(header);
  const step = v128.load32_splat(header, 4);
  const end = bytes + <usize>count;
  let target = out;
  for (let source = bytes; source < end; source += 8) {
    const words = v128.load_ext<u8>(source);
    const m = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(words));
    const n = f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(words));
    // Two operations, as the format says: values must be those that sealing rounded to.
    v128.store(target, f32x4.add(lo, f32x4.mul(step, n)), 16);
    v128.store(target, f32x4.add(lo, f32x4.mul(step, m)));
    target += 32;
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
