import { constant, LOW_NIBBLES } from './constants';
import {
  COMMAND_ARGUMENTS,
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
import {
  GROUP_BYTES,
  GROUP_SCALED_SUM,
  GROUP_SUMS,
  quantizedRowBytes,
} from './row-quantize';
import { dot, firstDot, firstStep, loadF16x4, loadI8x4AsF32, loadU8x4AsF32, madd, step, sumLanes4F32, widen } from './simd';

/**
 * out = x W^T (+ bias), or out += x W^T. The work item is a strip of 8 output features, for all rows of x.
 * Arguments: weights, type, columns, output features, x as float32, x quantized, out, rows of x, accumulate, bias (0: none).
 *
 * Within 16 columns sums are integers, hence exact; these are added in order. So a row has the same bits whether it
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
      quantizedStrip(type, w, quantized, numCols, numRows, target, numOut, valid, accumulate, b, scratch);
    } else {
      const rowBytes = <usize>numCols << 2;
      for (let row = 0; row < STRIP_ROWS; row++) dequantizeRow(type, w, row, numCols, scratch + <usize>row * rowBytes);
      floatStrip(TYPE_F32, scratch, floats, numCols, numRows, target, numOut, valid, accumulate, b);
    }
  }
}

/** One strip for all rows of x: several at a time, so that unpacked weights are used again; a single row by itself. */
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
  sums: usize,
): void {
  const stride = <usize>quantizedRowBytes(numCols);
  const outStride = <usize>numOut << 2;
  for (let first = 0; first < numRows; first += ROWS_AT_ONCE) {
    const count = min(ROWS_AT_ONCE, numRows - first);
    multiplyRows(type, w, x + <usize>first * stride, stride, numCols, count, sums);
    for (let row = 0; row < count; row++) {
      const sum = sums + <usize>(row * SUM_BYTES);
      finish(out + <usize>(first + row) * outStride, valid, accumulate, bias, v128.load(sum), v128.load(sum, 16));
    }
  }
}

/** Rows of x that share unpacked weights: their codes fit the level-1 cache at usual widths. */
const ROWS_AT_ONCE = 16;
/** Sums of a row of x: 8 output features as float32. */
const SUM_BYTES = 32;

function multiplyRows(type: i32, w: usize, x: usize, stride: usize, numCols: i32, count: i32, sums: usize): void {
  if (type == TYPE_Q4_0) multiplyQ40(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q4_1) multiplyQ41(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q5_0) multiplyQ50(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q5_1) multiplyQ51(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q8_0) multiplyQ80(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q4_K) multiplyQ4K(w, x, stride, numCols, count, sums);
  else if (type == TYPE_Q5_K) multiplyQ5K(w, x, stride, numCols, count, sums);
  else multiplyQ6K(w, x, stride, numCols, count, sums);
}

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

/** Sums of products add up in 16 bits where four of them fit. */
// @ts-ignore: decorator
@inline
function sumsFit16Bits(type: i32): bool {
  return isNibble(type) || type == TYPE_Q5_0 || type == TYPE_Q5_1 || type == TYPE_Q5_K;
}

/** sum + products of 4 columns of 4 rows of weights with 4 activations. */
// @ts-ignore: decorator
@inline
function multiply4(type: i32, codes: v128, x: v128, sum: v128): v128 {
  // Signed weights are the signed operand; activations are then split by sign.
  if (type == TYPE_Q8_0) return dot(codes, x, sum);
  return sumsFit16Bits(type) ? step(x, codes, sum) : dot(x, codes, sum);
}

/** The first of these. */
// @ts-ignore: decorator
@inline
function firstMultiply4(type: i32, codes: v128, x: v128): v128 {
  if (type == TYPE_Q8_0) return firstDot(codes, x);
  return sumsFit16Bits(type) ? firstStep(x, codes) : firstDot(x, codes);
}

/** The sum of four of these, in 32 bits. */
// @ts-ignore: decorator
@inline
function widen4(type: i32, sum: v128): v128 {
  return sumsFit16Bits(type) ? widen(sum) : sum;
}

/** 4 activations of 16 in every lane. */
// @ts-ignore: decorator
@inline
function lane0(x: v128): v128 {
  return i8x16.shuffle(x, x, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
}
// @ts-ignore: decorator
@inline
function lane1(x: v128): v128 {
  return i8x16.shuffle(x, x, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
}
// @ts-ignore: decorator
@inline
function lane2(x: v128): v128 {
  return i8x16.shuffle(x, x, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11);
}
// @ts-ignore: decorator
@inline
function lane3(x: v128): v128 {
  return i8x16.shuffle(x, x, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
}

/** What makes up for codes that are stored with an offset, for half a group. */
// @ts-ignore: decorator
@inline
function offsetOf(type: i32, group: usize, half: i32): v128 {
  return i32x4.splat(-codeOffset(type) * <i32>load<i16>(group + <usize>(half << 1), GROUP_SUMS));
}

/** Codes of 4 columns of 4 rows: nibbles hold the group's first half low and its second half high. */
// @ts-ignore: decorator
@inline
function codes4(type: i32, w: usize, j: usize, quad: i32, half: i32): v128 {
  const address = w + (j << 5) + <usize>(quad << 4);
  if (!isNibble(type)) return v128.load(address + <usize>(half << 7));
  const bytes = v128.load(address);
  return v128.and(half ? i16x8.shr_u(bytes, 4) : bytes, constant(LOW_NIBBLES));
}

/** Scales of rows 4 * quad to 4 * quad + 3 of a group; `top` is where its super-scales are. */
// @ts-ignore: decorator
@inline
function scalesOf(type: i32, w: usize, top: usize, quad: i32, half: i32): v128 {
  const q = <usize>quad;
  if (type == TYPE_Q4_0 || type == TYPE_Q4_1) return loadF16x4(w + 128 + 8 * q);
  if (type == TYPE_Q5_0 || type == TYPE_Q5_1 || type == TYPE_Q8_0) return loadF16x4(w + 256 + 8 * q);
  const superScales = loadF16x4(top + 8 * q);
  if (type == TYPE_Q4_K) return f32x4.mul(superScales, loadU8x4AsF32(w + 128 + 4 * q));
  if (type == TYPE_Q5_K) return f32x4.mul(superScales, loadU8x4AsF32(w + 256 + 4 * q));
  return f32x4.mul(superScales, loadI8x4AsF32(w + 256 + <usize>(half * 8) + 4 * q));
}

// @ts-ignore: decorator
@inline
function minimaOf(type: i32, w: usize, top: usize, quad: i32): v128 {
  const q = <usize>quad;
  if (type == TYPE_Q4_1) return loadF16x4(w + 144 + 8 * q);
  if (type == TYPE_Q5_1) return loadF16x4(w + 272 + 8 * q);
  const superMinima = loadF16x4(top + 16 + 8 * q);
  const offset: usize = type == TYPE_Q4_K ? 136 : 264;
  return f32x4.neg(f32x4.mul(superMinima, loadU8x4AsF32(w + offset + 4 * q)));
}

// ---- rows of x with a strip ----

/** Writes sums[row] = 8 output features of `count` rows of x. */
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
