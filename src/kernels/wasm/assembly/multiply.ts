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
import { codeOffset, groupBytes, hasMinimum, superBytes } from './packed-weights';
import { GROUP_BYTES, GROUP_SCALED_SUM } from './row-quantize';
import { dot, firstDot, madd } from './simd';
import {
  codes4,
  firstMultiply4,
  lane0,
  lane1,
  lane2,
  lane3,
  minimaOf,
  multiply4,
  offsetOf,
  scalesOf,
  widen4,
} from './weight-codes';

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
  let codes = x;
  let g = x + 3 * <usize>numCols;
  const numGroups = numCols >> 5;
  for (let group = 0; group < numGroups; group++) {
    const top = w + <usize>((8 - (group & 7)) * groupBytes(type));
    multiplyHalf(type, 0, w, top, codes, stride, <usize>numCols, g, count, sums);
    multiplyHalf(type, 1, w, top, codes + 16, stride, <usize>numCols, g, count, sums);
    codes += 32;
    g += GROUP_BYTES;
    w += groupBytes(type);
    if (superBytes(type) > 0 && (group & 7) == 7) w += superBytes(type);
  }
}

/**
 * 16 columns: the strip's codes are unpacked into eight registers, then every row of x passes by. The second half adds the minima.
 * Long, since what it keeps in registers cannot be handed to functions and back.
 */
// @ts-ignore: decorator
@inline
function multiplyHalf(
  type: i32,
  half: i32,
  w: usize,
  top: usize,
  x: usize,
  stride: usize,
  k: usize,
  g: usize,
  count: i32,
  sums: usize,
): void {
  const c0 = codes4(type, w, 0, 0, half), c1 = codes4(type, w, 1, 0, half);
  const c2 = codes4(type, w, 2, 0, half), c3 = codes4(type, w, 3, 0, half);
  const e0 = codes4(type, w, 0, 1, half), e1 = codes4(type, w, 1, 1, half);
  const e2 = codes4(type, w, 2, 1, half), e3 = codes4(type, w, 3, 1, half);
  const s0 = scalesOf(type, w, top, 0, half), s1 = scalesOf(type, w, top, 1, half);
  const addMinima = half == 1 && hasMinimum(type);
  let m0 = s0, m1 = s1;
  if (addMinima) {
    m0 = minimaOf(type, w, top, 0);
    m1 = minimaOf(type, w, top, 1);
  }
  const end = sums + <usize>(count * SUM_BYTES);
  for (let sum = sums; sum < end; sum += SUM_BYTES) {
    const p = type == TYPE_Q8_0 ? x + k : x;
    let v = v128.load(p);
    let t = lane0(v);
    let a = firstMultiply4(type, c0, t), b = firstMultiply4(type, e0, t);
    t = lane1(v);
    a = multiply4(type, c1, t, a);
    b = multiply4(type, e1, t, b);
    t = lane2(v);
    a = multiply4(type, c2, t, a);
    b = multiply4(type, e2, t, b);
    t = lane3(v);
    a = widen4(type, multiply4(type, c3, t, a));
    b = widen4(type, multiply4(type, e3, t, b));
    if (type == TYPE_Q8_0) {
      v = v128.load(p + k);
      t = lane0(v);
      let n = firstDot(c0, t), m = firstDot(e0, t);
      t = lane1(v);
      n = dot(c1, t, n);
      m = dot(e1, t, m);
      t = lane2(v);
      n = dot(c2, t, n);
      m = dot(e2, t, m);
      t = lane3(v);
      a = i32x4.sub(a, dot(c3, t, n));
      b = i32x4.sub(b, dot(e3, t, m));
    }
    if (codeOffset(type) > 0) {
      const offset = offsetOf(type, g, half);
      a = i32x4.add(a, offset);
      b = i32x4.add(b, offset);
    }
    const d = v128.load32_splat(g + <usize>(half << 2));
    let f0 = madd(f32x4.convert_i32x4_s(a), f32x4.mul(s0, d), v128.load(sum));
    let f1 = madd(f32x4.convert_i32x4_s(b), f32x4.mul(s1, d), v128.load(sum, 16));
    if (addMinima) {
      const total = v128.load32_splat(g, GROUP_SCALED_SUM);
      f0 = madd(m0, total, f0);
      f1 = madd(m1, total, f1);
    }
    v128.store(sum, f0);
    v128.store(sum, f1, 16);
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
