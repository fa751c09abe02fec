import { PAIR_BYTES } from './row-dots';
import { f16ToF32 } from './simd';
import { QUERY_EXACT_SUM, QUERY_ZERO } from './tile-scratch';

/** Decodes `count` halves (a multiple of 16). */
export function decodeF16(halves: usize, count: i32, out: usize): void {
  const end = halves + (<usize>count << 1);
  let target = out;
  for (let h = halves; h < end; h += 32) {
    const a = f16ToF32(v128.load_ext<i16>(h)), b = f16ToF32(v128.load_ext<i16>(h, 8));
    const c = f16ToF32(v128.load_ext<i16>(h, 16)), d = f16ToF32(v128.load_ext<i16>(h, 24));
    v128.store(target, b, 16);
    v128.store(target, a);
    v128.store(target, d, 48);
    v128.store(target, c, 32);
    target += 64;
  }
}

/**
 * Decodes f16 rows of d channels (a multiple of 16) in blocks of 8 rows: for 4 channels at a time: for r in 0..3: those of row r, those of row r + 4. Rows
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
      for (; a < end; a += 32) {
        const a0 = f16ToF32(v128.load_ext<i16>(a)), b0 = f16ToF32(v128.load_ext<i16>(b));
        const a1 = f16ToF32(v128.load_ext<i16>(a, 8)), b1 = f16ToF32(v128.load_ext<i16>(b, 8));
        const a2 = f16ToF32(v128.load_ext<i16>(a, 16)), b2 = f16ToF32(v128.load_ext<i16>(b, 16));
        const a3 = f16ToF32(v128.load_ext<i16>(a, 24)), b3 = f16ToF32(v128.load_ext<i16>(b, 24));
        v128.store(into, b0, 16);
        v128.store(into, a0);
        v128.store(into, b1, 144);
        v128.store(into, a1, 128);
        v128.store(into, b2, 272);
        v128.store(into, a2, 256);
        v128.store(into, b3, 400);
        v128.store(into, a3, 384);
        b += 32;
        into += 16 * PAIR_BYTES;
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

/**
 * Adds to a query's scalar term what rounding took from its integers, times the middle of the codes m: sum u k = sum u (k - m) + m sum u,
 * where only the first sum needs rounded u. Codes are all positive, so that rounding errors would add up otherwise; and what all channels of
 * V have in common is gathered in one channel when the rotation is undone. (4 bits, 64 channels: a ninth of the largest error.)
 *
 * @param sum of the integers; the exact sum is among the scalars
 */
// @ts-ignore: decorator
@inline
export function addRest(sum: i32, scale: f32, bits: i32, s: usize): void {
  const middle: f32 = <f32>((1 << bits) - 1) * 0.5;
  const rest = load<f32>(s + QUERY_EXACT_SUM) - scale * <f32>sum;
  store<f32>(s + QUERY_ZERO, load<f32>(s + QUERY_ZERO) + middle * rest);
}
