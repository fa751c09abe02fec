import {
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_1,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
} from './commands';
import { groupBytes, superBytes } from './packed-weights';
import { GROUP_BYTES, GROUP_SCALED_SUM } from './row-quantize';
import { madd } from './simd';
import { codes4, hasRowTerm, product16, rowTermOf, scaleHalves, scaleOfHalf, scalesOf } from './weight-codes';

/** Sums of a row of x: 8 output features as float32. */
export const SUM_BYTES = 32;

/** Writes sums[row] = 8 output features of `count` rows of x, `stride` bytes apart: the products with a packed strip. */
export function multiplyRows(type: i32, w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  if (type == TYPE_Q4_0) multiplyQ40(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q4_1) multiplyQ41(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q5_0) multiplyQ50(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q5_1) multiplyQ51(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q8_0) multiplyQ80(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q4_K) multiplyQ4K(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q5_K) multiplyQ5K(w, x, stride, numCols, count, sums);
  else multiplyQ6K(w, x, stride, numCols, count, sums);
}

// @ts-ignore: decorator
@inline
function multiply(type: i32, w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  memory.fill(sums, 0, <usize>(count * SUM_BYTES));
  const end = sums + <usize>(count * SUM_BYTES);
  let codes = x;
  let g = x + <usize>numCols;
  const numGroups = numCols >> 5;
  for (let group = 0; group < numGroups; group++) {
    multiplyGroup(type, w, w + <usize>((8 - (group & 7)) * groupBytes(type)), codes, g, stride, sums, end);
    codes += 32;
    g += GROUP_BYTES;
    w += groupBytes(type);
    if (superBytes(type) > 0 && (group & 7) == 7) w += superBytes(type);
  }
}

/**
 * A group of 32 columns: the strip's codes are unpacked into registers, then every row of x passes by. Everything is written twice, for rows
 * 0..3 and 4..7 of the strip side by side, which is what an engine with 256-bit vectors puts together (docs/decisions/0004-wide-vectors.md).
 * Long, since what it keeps in registers cannot be handed to functions and back.
 */
// @ts-ignore: decorator
@inline
function multiplyGroup(
  type: i32,
  w: usize,
  top: usize,
  x: usize,
  g: usize,
  stride: usize,
  sums: usize,
  end: usize,
): void {
  const c0 = codes4(type, w, 0, 0), c1 = codes4(type, w, 1, 0), c2 = codes4(type, w, 2, 0), c3 = codes4(type, w, 3, 0);
  const c4 = codes4(type, w, 4, 0), c5 = codes4(type, w, 5, 0), c6 = codes4(type, w, 6, 0), c7 = codes4(type, w, 7, 0);
  const e0 = codes4(type, w, 0, 1), e1 = codes4(type, w, 1, 1), e2 = codes4(type, w, 2, 1), e3 = codes4(type, w, 3, 1);
  const e4 = codes4(type, w, 4, 1), e5 = codes4(type, w, 5, 1), e6 = codes4(type, w, 6, 1), e7 = codes4(type, w, 7, 1);
  const s = scalesOf(type, w, top, 0), z = scalesOf(type, w, top, 1);
  const sh = scaleOfHalf(type, w, top, 0), zh = scaleOfHalf(type, w, top, 1);
  const m = rowTermOf(type, w, top, 0, s), n = rowTermOf(type, w, top, 1, z);
  for (let sum = sums; sum < end; sum += SUM_BYTES) {
    let t0 = v128.load32_splat(x), t1 = v128.load32_splat(x, 4);
    let t2 = v128.load32_splat(x, 8), t3 = v128.load32_splat(x, 12);
    let d = v128.load32_splat(g);
    let a = f32x4.mul(product16(type, c0, c1, c2, c3, t0, t1, t2, t3, g, 0), d);
    let b = f32x4.mul(product16(type, e0, e1, e2, e3, t0, t1, t2, t3, g, 0), d);
    t0 = v128.load32_splat(x, 16);
    t1 = v128.load32_splat(x, 20);
    t2 = v128.load32_splat(x, 24);
    t3 = v128.load32_splat(x, 28);
    d = v128.load32_splat(g, 4);
    const p = product16(type, c4, c5, c6, c7, t0, t1, t2, t3, g, 1);
    const q = product16(type, e4, e5, e6, e7, t0, t1, t2, t3, g, 1);
    let f0: v128, f1: v128;
    if (scaleHalves(type)) {
      f0 = madd(a, s, v128.load(sum));
      f1 = madd(b, z, v128.load(sum, 16));
      f0 = madd(f32x4.mul(p, d), sh, f0);
      f1 = madd(f32x4.mul(q, d), zh, f1);
    } else {
      a = madd(p, d, a);
      b = madd(q, d, b);
      f0 = madd(a, s, v128.load(sum));
      f1 = madd(b, z, v128.load(sum, 16));
    }
    if (hasRowTerm(type)) {
      const total = v128.load32_splat(g, GROUP_SCALED_SUM);
      f0 = madd(m, total, f0);
      f1 = madd(n, total, f1);
    }
    v128.store(sum, f1, 16);
    v128.store(sum, f0);
    x += stride;
    g += stride;
  }
}

// A function for each type, so that what differs between types is decided when this is compiled.
function multiplyQ40(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q4_0, w, x, stride, numCols, count, sums);
}
function multiplyQ41(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q4_1, w, x, stride, numCols, count, sums);
}
function multiplyQ50(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q5_0, w, x, stride, numCols, count, sums);
}
function multiplyQ51(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q5_1, w, x, stride, numCols, count, sums);
}
function multiplyQ80(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q8_0, w, x, stride, numCols, count, sums);
}
function multiplyQ4K(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q4_K, w, x, stride, numCols, count, sums);
}
function multiplyQ5K(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q5_K, w, x, stride, numCols, count, sums);
}
function multiplyQ6K(w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  multiply(TYPE_Q6_K, w, x, stride, numCols, count, sums);
}
