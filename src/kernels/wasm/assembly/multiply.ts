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
import { codeOffset, groupBytes, superBytes } from './packed-weights';
import { GROUP_BYTES, GROUP_SCALED_SUM, GROUP_SUMS } from './row-quantize';
import { fill16, madd } from './simd';
import { codes4, hasIntegerOffset, hasRowTerm, nibbles4, rowTermOf, scalesOf, sum4 } from './weight-codes';

/** Sums of a row of x: 16 output features as float32. */
export const SUM_BYTES = 64;

/** Writes sums[row] = 16 output features of `count` rows of x, `stride` bytes apart: the products with a packed strip. */
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
  const end = sums + <usize>(count * SUM_BYTES);
  fill16(sums, i32x4.splat(0), <usize>(count * SUM_BYTES));
  let g = x + <usize>numCols;
  const numGroups = numCols >> 5;
  for (let group = 0; group < numGroups; group++) {
    if (type == TYPE_Q8_0) {
      multiplyBytes(0, 0, w, x, g, stride, sums, end);
      multiplyBytes(1, 0, w, x, g, stride, sums, end);
      multiplyBytes(0, 1, w, x + 16, g, stride, sums, end);
      multiplyBytes(1, 1, w, x + 16, g, stride, sums, end);
    } else {
      const top = w + <usize>((8 - (group & 7)) * groupBytes(type));
      multiplyHalf(type, 0, w, top, x, g, stride, sums, end);
      multiplyHalf(type, 1, w, top, x + 16, g, stride, sums, end);
    }
    x += 32;
    g += GROUP_BYTES;
    w += groupBytes(type);
    if (superBytes(type) > 0 && (group & 7) == 7) w += superBytes(type);
  }
}

/**
 * 16 columns of a strip: its codes are unpacked into registers, then every row of x passes by. Neighbouring quads of rows are written side
 * by side, which is what an engine with 256-bit vectors puts together (docs/decisions/0004-wide-vectors.md). Long, since what it keeps
 * in registers cannot be handed to functions and back.
 */
// @ts-ignore: decorator
@inline
function multiplyHalf(
  type: i32,
  half: i32,
  w: usize,
  top: usize,
  x: usize,
  g: usize,
  stride: usize,
  sums: usize,
  end: usize,
): void {
  const a0 = codes4(type, w, 0, 0, half), b0 = codes4(type, w, 0, 1, half);
  const a1 = codes4(type, w, 1, 0, half), b1 = codes4(type, w, 1, 1, half);
  const a2 = codes4(type, w, 2, 0, half), b2 = codes4(type, w, 2, 1, half);
  const a3 = codes4(type, w, 3, 0, half), b3 = codes4(type, w, 3, 1, half);
  const c0 = codes4(type, w, 0, 2, half), d0 = codes4(type, w, 0, 3, half);
  const c1 = codes4(type, w, 1, 2, half), d1 = codes4(type, w, 1, 3, half);
  const c2 = codes4(type, w, 2, 2, half), d2 = codes4(type, w, 2, 3, half);
  const c3 = codes4(type, w, 3, 2, half), d3 = codes4(type, w, 3, 3, half);
  const sa = scalesOf(type, w, top, 0, half), sb = scalesOf(type, w, top, 1, half);
  const sc = scalesOf(type, w, top, 2, half), sd = scalesOf(type, w, top, 3, half);
  const addTerm = half == 1 && hasRowTerm(type);
  let ma = sa, mb = sb, mc = sc, md = sd;
  if (addTerm) {
    ma = rowTermOf(type, w, top, 0, sa);
    mb = rowTermOf(type, w, top, 1, sb);
    mc = rowTermOf(type, w, top, 2, sc);
    md = rowTermOf(type, w, top, 3, sd);
  }
  for (let sum = sums; sum < end; sum += SUM_BYTES) {
    const t0 = v128.load32_splat(x), t1 = v128.load32_splat(x, 4);
    const t2 = v128.load32_splat(x, 8), t3 = v128.load32_splat(x, 12);
    const scale = half ? v128.load32_splat(g, 4) : v128.load32_splat(g);
    let a = sum4(type, a0, a1, a2, a3, t0, t1, t2, t3), b = sum4(type, b0, b1, b2, b3, t0, t1, t2, t3);
    let c = sum4(type, c0, c1, c2, c3, t0, t1, t2, t3), d = sum4(type, d0, d1, d2, d3, t0, t1, t2, t3);
    if (hasIntegerOffset(type)) {
      const offset = i32x4.splat(codeOffset(type) * <i32>load<i16>(g + <usize>(half << 1), GROUP_SUMS));
      a = i32x4.sub(a, offset);
      b = i32x4.sub(b, offset);
      c = i32x4.sub(c, offset);
      d = i32x4.sub(d, offset);
    }
    a = madd(f32x4.convert_i32x4_s(a), f32x4.mul(sa, scale), v128.load(sum));
    b = madd(f32x4.convert_i32x4_s(b), f32x4.mul(sb, scale), v128.load(sum, 16));
    c = madd(f32x4.convert_i32x4_s(c), f32x4.mul(sc, scale), v128.load(sum, 32));
    d = madd(f32x4.convert_i32x4_s(d), f32x4.mul(sd, scale), v128.load(sum, 48));
    if (addTerm) {
      const total = v128.load32_splat(g, GROUP_SCALED_SUM);
      a = madd(ma, total, a);
      b = madd(mb, total, b);
      c = madd(mc, total, c);
      d = madd(md, total, d);
    }
    // The upper one first: V8 leaves a store too many otherwise.
    v128.store(sum, b, 16);
    v128.store(sum, a);
    v128.store(sum, d, 48);
    v128.store(sum, c, 32);
    x += stride;
    g += stride;
  }
}

/** 16 columns of 8 of a strip's rows, with 8-bit codes: as two parts of 4 bits, so that sums of four products fit 16 bits. */
// @ts-ignore: decorator
@inline
function multiplyBytes(
  octet: i32,
  half: i32,
  w: usize,
  x: usize,
  g: usize,
  stride: usize,
  sums: usize,
  end: usize,
): void {
  const q = 2 * octet, r = q + 1;
  const a0 = nibbles4(w, 0, q, half, 0), b0 = nibbles4(w, 0, r, half, 0);
  const a1 = nibbles4(w, 1, q, half, 0), b1 = nibbles4(w, 1, r, half, 0);
  const a2 = nibbles4(w, 2, q, half, 0), b2 = nibbles4(w, 2, r, half, 0);
  const a3 = nibbles4(w, 3, q, half, 0), b3 = nibbles4(w, 3, r, half, 0);
  const c0 = nibbles4(w, 0, q, half, 1), d0 = nibbles4(w, 0, r, half, 1);
  const c1 = nibbles4(w, 1, q, half, 1), d1 = nibbles4(w, 1, r, half, 1);
  const c2 = nibbles4(w, 2, q, half, 1), d2 = nibbles4(w, 2, r, half, 1);
  const c3 = nibbles4(w, 3, q, half, 1), d3 = nibbles4(w, 3, r, half, 1);
  const sa = scalesOf(TYPE_Q8_0, w, w, q, half), sb = scalesOf(TYPE_Q8_0, w, w, r, half);
  for (let sum = sums + <usize>(octet << 5); sum < end; sum += SUM_BYTES) {
    const t0 = v128.load32_splat(x), t1 = v128.load32_splat(x, 4);
    const t2 = v128.load32_splat(x, 8), t3 = v128.load32_splat(x, 12);
    const scale = half ? v128.load32_splat(g, 4) : v128.load32_splat(g);
    const offset = i32x4.splat(codeOffset(TYPE_Q8_0) * <i32>load<i16>(g + <usize>(half << 1), GROUP_SUMS));
    let a = i32x4.sub(sum4(TYPE_Q8_0, a0, a1, a2, a3, t0, t1, t2, t3), offset);
    let b = i32x4.sub(sum4(TYPE_Q8_0, b0, b1, b2, b3, t0, t1, t2, t3), offset);
    a = i32x4.add(a, i32x4.shl(sum4(TYPE_Q8_0, c0, c1, c2, c3, t0, t1, t2, t3), 4));
    b = i32x4.add(b, i32x4.shl(sum4(TYPE_Q8_0, d0, d1, d2, d3, t0, t1, t2, t3), 4));
    a = madd(f32x4.convert_i32x4_s(a), f32x4.mul(sa, scale), v128.load(sum));
    b = madd(f32x4.convert_i32x4_s(b), f32x4.mul(sb, scale), v128.load(sum, 16));
    v128.store(sum, b, 16);
    v128.store(sum, a);
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
