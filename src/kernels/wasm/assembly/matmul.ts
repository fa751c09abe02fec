import {
  COMMAND_ARGUMENTS,
  GROUP_BYTES,
  STRIP_ROWS,
  TYPE_F32,
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_1,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
} from './commands';
import {
  codeOffset,
  dequantizeRow,
  floatBytes,
  groupBytes,
  hasMinimum,
  isFloat,
  isNibble,
  loadFloat4,
  stripBytes,
  superBytes,
} from './packed-weights';
import { quantizedRowBytes } from './row-quantize';
import { dot, loadF16x4, loadI8x4AsF32, loadU8x4AsF32, madd, sumLanes4F32 } from './simd';

/**
 * out = x W^T (+ bias), or out += x W^T. The work item is a strip of 8 output features, for all rows of x.
 * Arguments: weights, type, columns, output features, x as float32, x quantized, out, rows of x, accumulate, bias (0: none).
 *
 * Within a group of 32 columns sums are integers, hence exact; groups are added in order. So a row has the same bits whether it
 * is computed alone or four at a time. Where x has not been quantized, the weights are dequantized and everything is float32: slow, and
 * as exact as float32 is.
 */
export function matmulStrips(command: usize, begin: i32, end: i32, scratch: usize): void {
  const args = command + COMMAND_ARGUMENTS;
  const weights = <usize>load<u32>(args);
  const type = load<i32>(args, 4);
  const numCols = load<i32>(args, 8);
  const numOut = load<i32>(args, 12);
  const floats = <usize>load<u32>(args, 16);
  const quantized = <usize>load<u32>(args, 20);
  const out = <usize>load<u32>(args, 24);
  const numRows = load<i32>(args, 28);
  const accumulate = load<i32>(args, 32) != 0;
  const bias = <usize>load<u32>(args, 36);
  const bytes = <usize>stripBytes(type, numCols);
  for (let strip = begin; strip < end; strip++) {
    const first = strip * STRIP_ROWS;
    const target = out + (<usize>first << 2);
    const b = bias ? bias + (<usize>first << 2) : 0;
    const w = weights + <usize>strip * bytes;
    const valid = min(STRIP_ROWS, numOut - first);
    if (isFloat(type)) {
      floatStrip(type, w, floats, numCols, numRows, target, numOut, valid, accumulate, b);
    } else if (quantized) {
      quantizedStrip(type, w, quantized, numCols, numRows, target, numOut, valid, accumulate, b);
    } else {
      const rowBytes = <usize>numCols << 2;
      for (let row = 0; row < STRIP_ROWS; row++) dequantizeRow(type, w, row, numCols, scratch + <usize>row * rowBytes);
      floatStrip(TYPE_F32, scratch, floats, numCols, numRows, target, numOut, valid, accumulate, b);
    }
  }
}

/** One strip for all rows of x: four at a time, the rest one at a time. */
function quantizedStrip(
  type: i32,
  w: usize,
  x: usize,
  numCols: i32,
  numRows: i32,
  out: usize,
  numOut: i32,
  valid: i32,
  accumulate: bool,
  bias: usize,
): void {
  const stride = <usize>quantizedRowBytes(numCols);
  const outStride = <usize>numOut << 2;
  let row = 0;
  for (; row + 4 <= numRows; row += 4) {
    const r = x + <usize>row * stride;
    const o = out + <usize>row * outStride;
    if (type == TYPE_Q4_0) fourRowsQ40(w, r, stride, numCols);
    else if (type == TYPE_Q4_1) fourRowsQ41(w, r, stride, numCols);
    else if (type == TYPE_Q5_0) fourRowsQ50(w, r, stride, numCols);
    else if (type == TYPE_Q5_1) fourRowsQ51(w, r, stride, numCols);
    else if (type == TYPE_Q8_0) fourRowsQ80(w, r, stride, numCols);
    else if (type == TYPE_Q4_K) fourRowsQ4K(w, r, stride, numCols);
    else if (type == TYPE_Q5_K) fourRowsQ5K(w, r, stride, numCols);
    else fourRowsQ6K(w, r, stride, numCols);
    finish(o, valid, accumulate, bias, r00, r01);
    finish(o + outStride, valid, accumulate, bias, r10, r11);
    finish(o + 2 * outStride, valid, accumulate, bias, r20, r21);
    finish(o + 3 * outStride, valid, accumulate, bias, r30, r31);
  }
  for (; row < numRows; row++) {
    const r = x + <usize>row * stride;
    if (type == TYPE_Q4_0) oneRowQ40(w, r, numCols);
    else if (type == TYPE_Q4_1) oneRowQ41(w, r, numCols);
    else if (type == TYPE_Q5_0) oneRowQ50(w, r, numCols);
    else if (type == TYPE_Q5_1) oneRowQ51(w, r, numCols);
    else if (type == TYPE_Q8_0) oneRowQ80(w, r, numCols);
    else if (type == TYPE_Q4_K) oneRowQ4K(w, r, numCols);
    else if (type == TYPE_Q5_K) oneRowQ5K(w, r, numCols);
    else oneRowQ6K(w, r, numCols);
    finish(out + <usize>row * outStride, valid, accumulate, bias, r00, r01);
  }
}

// Results of fourRows and oneRow: row of x, half of the strip. Globals of the instance, so of one thread; V8 has no cheaper way to return
// eight vectors.
let r00: v128 = f32x4.splat(0);
let r01: v128 = f32x4.splat(0);
let r10: v128 = f32x4.splat(0);
let r11: v128 = f32x4.splat(0);
let r20: v128 = f32x4.splat(0);
let r21: v128 = f32x4.splat(0);
let r30: v128 = f32x4.splat(0);
let r31: v128 = f32x4.splat(0);

function finish(out: usize, valid: i32, accumulate: bool, bias: usize, a: v128, b: v128): void {
  if (valid == STRIP_ROWS) {
    if (bias) {
      a = f32x4.add(a, v128.load(bias));
      b = f32x4.add(b, v128.load(bias, 16));
    }
    if (accumulate) {
      a = f32x4.add(v128.load(out), a);
      b = f32x4.add(v128.load(out, 16), b);
    }
    v128.store(out, a);
    v128.store(out, b, 16);
    return;
  }
  for (let i = 0; i < valid; i++) {
    let value = laneOf(a, b, i);
    if (bias) value += load<f32>(bias + (<usize>i << 2));
    const address = out + (<usize>i << 2);
    store<f32>(address, accumulate ? load<f32>(address) + value : value);
  }
}

function laneOf(a: v128, b: v128, i: i32): f32 {
  const v = i < 4 ? a : b;
  const lane = i & 3;
  if (lane == 0) return f32x4.extract_lane(v, 0);
  if (lane == 1) return f32x4.extract_lane(v, 1);
  if (lane == 2) return f32x4.extract_lane(v, 2);
  return f32x4.extract_lane(v, 3);
}

// ---- what differs between weight types; `type` is a constant wherever these are inlined ----

/** Start value of a group's integer sum: what makes up for codes that are stored with an offset, or with their sign split. */
// @ts-ignore: decorator
@inline
function startOf(type: i32, group: usize, half: i32): v128 {
  if (type == TYPE_Q6_K) return i32x4.splat(-codeOffset(type) * <i32>load<i16>(group + <usize>(4 + 2 * half)));
  if (codeOffset(type) > 0) {
    return i32x4.splat(-codeOffset(type) * (<i32>load<i16>(group, 4) + <i32>load<i16>(group, 6)));
  }
  // -w = ~w + 1: the sum of the negative parts stands for the + 1 of each.
  if (type == TYPE_Q8_0) return v128.load32_splat(group, 8);
  return i32x4.splat(0);
}

/** Scales of rows 4 * quad to 4 * quad + 3 of a group. */
// @ts-ignore: decorator
@inline
function scalesOf(type: i32, w: usize, top: v128, quad: i32, half: i32): v128 {
  const q = <usize>quad;
  if (type == TYPE_Q4_0 || type == TYPE_Q4_1) return loadF16x4(w + 128 + 8 * q);
  if (type == TYPE_Q5_0 || type == TYPE_Q5_1 || type == TYPE_Q8_0) return loadF16x4(w + 256 + 8 * q);
  if (type == TYPE_Q4_K) return f32x4.mul(top, loadU8x4AsF32(w + 128 + 4 * q));
  if (type == TYPE_Q5_K) return f32x4.mul(top, loadU8x4AsF32(w + 256 + 4 * q));
  return f32x4.mul(top, loadI8x4AsF32(w + 256 + <usize>(half * 8) + 4 * q));
}

// @ts-ignore: decorator
@inline
function minimaOf(type: i32, w: usize, top: v128, quad: i32): v128 {
  const q = <usize>quad;
  if (type == TYPE_Q4_1) return loadF16x4(w + 144 + 8 * q);
  if (type == TYPE_Q5_1) return loadF16x4(w + 272 + 8 * q);
  if (type == TYPE_Q4_K) return f32x4.neg(f32x4.mul(top, loadU8x4AsF32(w + 136 + 4 * q)));
  return f32x4.neg(f32x4.mul(top, loadU8x4AsF32(w + 264 + 4 * q)));
}

// ---- four rows of x ----

/** The shared body, 100 lines since its eight accumulators must stay in locals. */
// @ts-ignore: decorator
@inline
function fourRows(type: i32, weights: usize, x: usize, stride: usize, numCols: i32): void {
  let x0 = x;
  let x1 = x + stride;
  let x2 = x1 + stride;
  let x3 = x2 + stride;
  const k = <usize>numCols;
  let g = x + 3 * k;
  let w = weights;
  let f00 = f32x4.splat(0), f01 = f00, f10 = f00, f11 = f00, f20 = f00, f21 = f00, f30 = f00, f31 = f00;
  const numGroups = numCols >> 5;
  for (let group = 0; group < numGroups; group++) {
    let top0 = f00, top1 = f00, topMin0 = f00, topMin1 = f00;
    if (superBytes(type) > 0) {
      const topAddress = w + <usize>((8 - (group & 7)) * groupBytes(type));
      top0 = loadF16x4(topAddress);
      top1 = loadF16x4(topAddress + 8);
      if (hasMinimum(type)) {
        topMin0 = loadF16x4(topAddress + 16);
        topMin1 = loadF16x4(topAddress + 24);
      }
    }
    for (let half = 0; half < (type == TYPE_Q6_K ? 2 : 1); half++) {
      let a00 = startOf(type, g, half), a10 = startOf(type, g + stride, half);
      let a20 = startOf(type, g + 2 * stride, half), a30 = startOf(type, g + 3 * stride, half);
      let a01 = a00, a11 = a10, a21 = a20, a31 = a30;
      const numSteps = isNibble(type) || type == TYPE_Q6_K ? 4 : 8;
      for (let j: usize = 0; j < <usize>numSteps; j++) {
        const c = w + (j << 5) + (<usize>half << 7);
        const o = (j << 2) + (<usize>half << 4);
        if (isNibble(type)) {
          const c0 = v128.load(c), c1 = v128.load(c, 16);
          const mask = i8x16.splat(15);
          const l0 = v128.and(c0, mask), l1 = v128.and(c1, mask);
          let v = v128.load32_splat(x0 + o);
          a00 = dot(v, l0, a00);
          a01 = dot(v, l1, a01);
          v = v128.load32_splat(x1 + o);
          a10 = dot(v, l0, a10);
          a11 = dot(v, l1, a11);
          v = v128.load32_splat(x2 + o);
          a20 = dot(v, l0, a20);
          a21 = dot(v, l1, a21);
          v = v128.load32_splat(x3 + o);
          a30 = dot(v, l0, a30);
          a31 = dot(v, l1, a31);
          const h0 = v128.and(i16x8.shr_u(c0, 4), mask), h1 = v128.and(i16x8.shr_u(c1, 4), mask);
          v = v128.load32_splat(x0 + o, 16);
          a00 = dot(v, h0, a00);
          a01 = dot(v, h1, a01);
          v = v128.load32_splat(x1 + o, 16);
          a10 = dot(v, h0, a10);
          a11 = dot(v, h1, a11);
          v = v128.load32_splat(x2 + o, 16);
          a20 = dot(v, h0, a20);
          a21 = dot(v, h1, a21);
          v = v128.load32_splat(x3 + o, 16);
          a30 = dot(v, h0, a30);
          a31 = dot(v, h1, a31);
        } else if (type == TYPE_Q8_0) {
          const c0 = v128.load(c), c1 = v128.load(c, 16);
          const n0 = v128.not(c0), n1 = v128.not(c1);
          const p = o + k;
          const m = p + k;
          let v = v128.load32_splat(x0 + p);
          a00 = dot(c0, v, a00);
          a01 = dot(c1, v, a01);
          v = v128.load32_splat(x0 + m);
          a00 = dot(n0, v, a00);
          a01 = dot(n1, v, a01);
          v = v128.load32_splat(x1 + p);
          a10 = dot(c0, v, a10);
          a11 = dot(c1, v, a11);
          v = v128.load32_splat(x1 + m);
          a10 = dot(n0, v, a10);
          a11 = dot(n1, v, a11);
          v = v128.load32_splat(x2 + p);
          a20 = dot(c0, v, a20);
          a21 = dot(c1, v, a21);
          v = v128.load32_splat(x2 + m);
          a20 = dot(n0, v, a20);
          a21 = dot(n1, v, a21);
          v = v128.load32_splat(x3 + p);
          a30 = dot(c0, v, a30);
          a31 = dot(c1, v, a31);
          v = v128.load32_splat(x3 + m);
          a30 = dot(n0, v, a30);
          a31 = dot(n1, v, a31);
        } else {
          const c0 = v128.load(c), c1 = v128.load(c, 16);
          let v = v128.load32_splat(x0 + o);
          a00 = dot(v, c0, a00);
          a01 = dot(v, c1, a01);
          v = v128.load32_splat(x1 + o);
          a10 = dot(v, c0, a10);
          a11 = dot(v, c1, a11);
          v = v128.load32_splat(x2 + o);
          a20 = dot(v, c0, a20);
          a21 = dot(v, c1, a21);
          v = v128.load32_splat(x3 + o);
          a30 = dot(v, c0, a30);
          a31 = dot(v, c1, a31);
        }
      }
      const s0 = scalesOf(type, w, top0, 0, half), s1 = scalesOf(type, w, top1, 1, half);
      let d = v128.load32_splat(g);
      f00 = madd(f32x4.convert_i32x4_s(a00), f32x4.mul(s0, d), f00);
      f01 = madd(f32x4.convert_i32x4_s(a01), f32x4.mul(s1, d), f01);
      d = v128.load32_splat(g + stride);
      f10 = madd(f32x4.convert_i32x4_s(a10), f32x4.mul(s0, d), f10);
      f11 = madd(f32x4.convert_i32x4_s(a11), f32x4.mul(s1, d), f11);
      d = v128.load32_splat(g + 2 * stride);
      f20 = madd(f32x4.convert_i32x4_s(a20), f32x4.mul(s0, d), f20);
      f21 = madd(f32x4.convert_i32x4_s(a21), f32x4.mul(s1, d), f21);
      d = v128.load32_splat(g + 3 * stride);
      f30 = madd(f32x4.convert_i32x4_s(a30), f32x4.mul(s0, d), f30);
      f31 = madd(f32x4.convert_i32x4_s(a31), f32x4.mul(s1, d), f31);
    }
    if (hasMinimum(type)) {
      const m0 = minimaOf(type, w, topMin0, 0), m1 = minimaOf(type, w, topMin1, 1);
      let s = v128.load32_splat(g, 12);
      f00 = madd(m0, s, f00);
      f01 = madd(m1, s, f01);
      s = v128.load32_splat(g + stride, 12);
      f10 = madd(m0, s, f10);
      f11 = madd(m1, s, f11);
      s = v128.load32_splat(g + 2 * stride, 12);
      f20 = madd(m0, s, f20);
      f21 = madd(m1, s, f21);
      s = v128.load32_splat(g + 3 * stride, 12);
      f30 = madd(m0, s, f30);
      f31 = madd(m1, s, f31);
    }
    x0 += 32;
    x1 += 32;
    x2 += 32;
    x3 += 32;
    g += GROUP_BYTES;
    w += groupBytes(type);
    if (superBytes(type) > 0 && (group & 7) == 7) w += superBytes(type);
  }
  r00 = f00;
  r01 = f01;
  r10 = f10;
  r11 = f11;
  r20 = f20;
  r21 = f21;
  r30 = f30;
  r31 = f31;
}

/** One row of x, operation by operation as in `fourRows`. */
// @ts-ignore: decorator
@inline
function oneRow(type: i32, weights: usize, x: usize, numCols: i32): void {
  let x0 = x;
  const k = <usize>numCols;
  let g = x + 3 * k;
  let w = weights;
  let f00 = f32x4.splat(0), f01 = f00;
  const numGroups = numCols >> 5;
  for (let group = 0; group < numGroups; group++) {
    let top0 = f00, top1 = f00, topMin0 = f00, topMin1 = f00;
    if (superBytes(type) > 0) {
      const topAddress = w + <usize>((8 - (group & 7)) * groupBytes(type));
      top0 = loadF16x4(topAddress);
      top1 = loadF16x4(topAddress + 8);
      if (hasMinimum(type)) {
        topMin0 = loadF16x4(topAddress + 16);
        topMin1 = loadF16x4(topAddress + 24);
      }
    }
    for (let half = 0; half < (type == TYPE_Q6_K ? 2 : 1); half++) {
      let a00 = startOf(type, g, half), a01 = a00;
      const numSteps = isNibble(type) || type == TYPE_Q6_K ? 4 : 8;
      for (let j: usize = 0; j < <usize>numSteps; j++) {
        const c = w + (j << 5) + (<usize>half << 7);
        const o = (j << 2) + (<usize>half << 4);
        const c0 = v128.load(c), c1 = v128.load(c, 16);
        if (isNibble(type)) {
          const mask = i8x16.splat(15);
          let v = v128.load32_splat(x0 + o);
          a00 = dot(v, v128.and(c0, mask), a00);
          a01 = dot(v, v128.and(c1, mask), a01);
          v = v128.load32_splat(x0 + o, 16);
          a00 = dot(v, v128.and(i16x8.shr_u(c0, 4), mask), a00);
          a01 = dot(v, v128.and(i16x8.shr_u(c1, 4), mask), a01);
        } else if (type == TYPE_Q8_0) {
          let v = v128.load32_splat(x0 + o + k);
          a00 = dot(c0, v, a00);
          a01 = dot(c1, v, a01);
          v = v128.load32_splat(x0 + o + 2 * k);
          a00 = dot(v128.not(c0), v, a00);
          a01 = dot(v128.not(c1), v, a01);
        } else {
          const v = v128.load32_splat(x0 + o);
          a00 = dot(v, c0, a00);
          a01 = dot(v, c1, a01);
        }
      }
      const d = v128.load32_splat(g);
      f00 = madd(f32x4.convert_i32x4_s(a00), f32x4.mul(scalesOf(type, w, top0, 0, half), d), f00);
      f01 = madd(f32x4.convert_i32x4_s(a01), f32x4.mul(scalesOf(type, w, top1, 1, half), d), f01);
    }
    if (hasMinimum(type)) {
      const s = v128.load32_splat(g, 12);
      f00 = madd(minimaOf(type, w, topMin0, 0), s, f00);
      f01 = madd(minimaOf(type, w, topMin1, 1), s, f01);
    }
    x0 += 32;
    g += GROUP_BYTES;
    w += groupBytes(type);
    if (superBytes(type) > 0 && (group & 7) == 7) w += superBytes(type);
  }
  r00 = f00;
  r01 = f01;
}

function fourRowsQ40(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q4_0, w, x, stride, numCols);
}
function fourRowsQ41(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q4_1, w, x, stride, numCols);
}
function fourRowsQ50(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q5_0, w, x, stride, numCols);
}
function fourRowsQ51(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q5_1, w, x, stride, numCols);
}
function fourRowsQ80(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q8_0, w, x, stride, numCols);
}
function fourRowsQ4K(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q4_K, w, x, stride, numCols);
}
function fourRowsQ5K(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q5_K, w, x, stride, numCols);
}
function fourRowsQ6K(w: usize, x: usize, stride: usize, numCols: i32): void {
  fourRows(TYPE_Q6_K, w, x, stride, numCols);
}
function oneRowQ40(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q4_0, w, x, numCols);
}
function oneRowQ41(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q4_1, w, x, numCols);
}
function oneRowQ50(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q5_0, w, x, numCols);
}
function oneRowQ51(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q5_1, w, x, numCols);
}
function oneRowQ80(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q8_0, w, x, numCols);
}
function oneRowQ4K(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q4_K, w, x, numCols);
}
function oneRowQ5K(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q5_K, w, x, numCols);
}
function oneRowQ6K(w: usize, x: usize, numCols: i32): void {
  oneRow(TYPE_Q6_K, w, x, numCols);
}

// ---- float weights ----

/** Rows of a float strip follow one another. Four output features at a time, each summed over columns in four lanes. */
function floatStrip(
  type: i32,
  w: usize,
  x: usize,
  numCols: i32,
  numRows: i32,
  out: usize,
  numOut: i32,
  valid: i32,
  accumulate: bool,
  bias: usize,
): void {
  const rowBytes = <usize>(numCols * floatBytes(type));
  for (let row = 0; row < numRows; row++) {
    const r = x + ((<usize>row * <usize>numCols) << 2);
    const a = floatQuad(type, w, rowBytes, r, numCols);
    const b = floatQuad(type, w + 4 * rowBytes, rowBytes, r, numCols);
    finish(out + ((<usize>row * <usize>numOut) << 2), valid, accumulate, bias, a, b);
  }
}

function floatQuad(type: i32, w: usize, rowBytes: usize, x: usize, numCols: i32): v128 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  const step = <usize>(4 * floatBytes(type));
  let p = w;
  for (let i = 0; i < numCols; i += 4) {
    const v = v128.load(x + (<usize>i << 2));
    a = madd(v, loadFloat4(type, p), a);
    b = madd(v, loadFloat4(type, p + rowBytes), b);
    c = madd(v, loadFloat4(type, p + 2 * rowBytes), c);
    d = madd(v, loadFloat4(type, p + 3 * rowBytes), d);
    p += step;
  }
  return sumLanes4F32(a, b, c, d);
}
