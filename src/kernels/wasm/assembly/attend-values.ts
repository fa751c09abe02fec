import { BYTE_SIGNS, constant, LOW_7_BITS, MINUS_INFINITY } from './constants';
import { numTokensStride } from './attend-scores';
import { isWide, unpackTile } from './plane-codes';
import { dotRows, dotSignedRows } from './row-dots';
import { V_META_HEADER } from './seal';
import {
  addLanes,
  exp1NotAbove0,
  expNotAbove0,
  expRow,
  fill16,
  madd,
  maxLanes,
  nearest4,
  sumLanes,
} from './simd';
import {
  addRest,
  decodeMeta,
} from './tile-codes';
import {
  codes,
  high,
  lanes,
  low,
  lowSums,
  part,
  QUERY_BYTES,
  QUERY_CORRECTION,
  QUERY_COUNT,
  QUERY_EXACT_SUM,
  QUERY_LARGEST,
  QUERY_SCALE,
  QUERY_SUM,
  QUERY_ZERO,
  rowSums,
  scalars,
  scores,
  STATE_SUM,
  STATE_VALUES,
  stateBytes,
  sums,
  tokenScale,
  tokenZero,
} from './tile-scratch';

/** Turns scores of f16 pages into weights e^(score - maximum) in place, for the tokens that a query sees; 0 for the others. */
export function softmaxF16Page(numTokens: i32, numQueries: i32, d: i32): void {
  const stride = numTokensStride(numTokens);
  for (let i = 0; i < numQueries; i++) {
    const s = scalars + <usize>i * QUERY_BYTES;
    const row = scores + (<usize>(i * stride) << 2);
    const state = part + <usize>i * stateBytes(d);
    const count = load<i32>(s + QUERY_COUNT);
    for (let t = count; t < stride; t++) store<f32>(row + (<usize>t << 2), -Infinity);
    const m = f32x4.splat(raiseMaximum(row, stride, state, s));
    let sum0 = f32x4.splat(0), sum1 = sum0;
    for (let t: usize = 0; t < <usize>stride << 2; t += 32) {
      const x = v128.load(row + t), y = v128.load(row + t, 16);
      // Unseen tokens get exactly nothing.
      const a = v128.and(expNotAbove0(f32x4.sub(x, m)), f32x4.ne(x, constant(MINUS_INFINITY)));
      const b = v128.and(expNotAbove0(f32x4.sub(y, m)), f32x4.ne(y, constant(MINUS_INFINITY)));
      v128.store(row + t, b, 16);
      v128.store(row + t, a);
      sum0 = f32x4.add(sum0, a);
      sum1 = f32x4.add(sum1, b);
    }
    addToSum(state, s, f32x4.add(sum0, sum1));
  }
}

/** The state's maximum with the scores of a page. What was summed so far is to be multiplied by the correction. */
// @ts-ignore: decorator
@inline
function raiseMaximum(row: usize, count: i32, state: usize, s: usize): f32 {
  let a = v128.load(row), b = v128.load(row, 16);
  for (let t: usize = 32; t < <usize>count << 2; t += 32) {
    a = f32x4.pmax(a, v128.load(row + t));
    b = f32x4.pmax(b, v128.load(row + t, 16));
  }
  v128.store(lanes, b, 16);
  v128.store(lanes, a);
  const before = load<f32>(state);
  const maximum = max(before, maxLanes(f32x4.pmax(v128.load(lanes), v128.load(lanes, 16))));
  store<f32>(state, maximum);
  store<f32>(s + QUERY_CORRECTION, exp1NotAbove0(before - maximum));
  return maximum;
}

// @ts-ignore: decorator
@inline
function addToSum(state: usize, s: usize, sum: v128): void {
  const correction = load<f32>(s + QUERY_CORRECTION);
  store<f32>(state + STATE_SUM, load<f32>(state + STATE_SUM) * correction + sumLanes(sum));
}

/**
 * Softmax and values of a quantized tile, all of whose tokens every query sees: p[t] = e^(score - maximum), then
 * values = values * correction + sum_t (p[t] s[t]) v[t, c] + sum_t p[t] z[t]. w[t] = p[t] s[t] becomes integers with one scale. Codes of up to 6
 * bits: w has 8 bits, stored less 128, which the sums of the codes make up for. Codes of 8: w has 14, in two planes of 7.
 */
export function accumulateSealedPage(
  bits: i32,
  meta: usize,
  plane0: usize,
  plane1: usize,
  d: i32,
  numTokens: i32,
  numQueries: i32,
): void {
  const bytes = meta + V_META_HEADER;
  decodeMeta(bytes, meta, numTokens, tokenScale);
  decodeMeta(bytes + <usize>numTokens, meta + 8, numTokens, tokenZero);
  unpackTile(bits, plane0, plane1, d, numTokens, codes);
  const wide = isWide(bits);
  if (!wide) {
    fill16(high, i8x16.splat(-128), <usize>numTokens);
    dotRows(bits, codes, d, numTokens, high, rowSums);
  }
  // Step by step for all queries, as in `scoreSealedPage`.
  for (let i = 0; i < numQueries; i++) {
    const row = scores + (<usize>(i * numTokens) << 2);
    weighTokens(row, numTokens, part + <usize>i * stateBytes(d), scalars + <usize>i * QUERY_BYTES);
  }
  for (let i = 0; i < numQueries; i++) {
    const row = scores + (<usize>(i * numTokens) << 2);
    const w = <usize>(i * numTokens);
    if (wide) quantizeWeights14(bits, row, numTokens, high + w, low + w, scalars + <usize>i * QUERY_BYTES);
    else quantizeWeights8(bits, row, numTokens, high + w, scalars + <usize>i * QUERY_BYTES);
  }
  for (let i = 0; i < numQueries; i++) {
    const w = <usize>(i * numTokens);
    const values = part + <usize>i * stateBytes(d) + STATE_VALUES;
    if (wide) accumulate14(bits, high + w, low + w, scalars + <usize>i * QUERY_BYTES, d, numTokens, values);
    else accumulate8(bits, high + w, scalars + <usize>i * QUERY_BYTES, d, numTokens, values);
  }
}

/** Scores become w in place; their softmax goes to the state, p . z and the largest w to the scalars; none is negative. */
function weighTokens(row: usize, numTokens: i32, state: usize, s: usize): void {
  expRow(row, f32x4.splat(raiseMaximum(row, numTokens, state, s)), <usize>numTokens << 2);
  let sum0 = f32x4.splat(0), sum1 = sum0, zero0 = sum0, zero1 = sum0;
  let weights0 = sum0, weights1 = sum0, largest0 = sum0, largest1 = sum0;
  for (let i: usize = 0; i < <usize>numTokens << 2; i += 32) {
    const a = v128.load(row + i), b = v128.load(row + i, 16);
    const v = f32x4.mul(a, v128.load(tokenScale + i)), w = f32x4.mul(b, v128.load(tokenScale + i, 16));
    sum0 = f32x4.add(sum0, a);
    sum1 = f32x4.add(sum1, b);
    zero0 = madd(a, v128.load(tokenZero + i), zero0);
    zero1 = madd(b, v128.load(tokenZero + i, 16), zero1);
    v128.store(row + i, w, 16);
    v128.store(row + i, v);
    largest0 = f32x4.pmax(largest0, v);
    largest1 = f32x4.pmax(largest1, w);
    weights0 = f32x4.add(weights0, v);
    weights1 = f32x4.add(weights1, w);
  }
  const both = lanes;
  v128.store(both, sum1, 16);
  v128.store(both, sum0);
  v128.store(both, zero1, 48);
  v128.store(both, zero0, 32);
  v128.store(both, weights1, 80);
  v128.store(both, weights0, 64);
  v128.store(both, largest1, 112);
  v128.store(both, largest0, 96);
  addToSum(state, s, f32x4.add(v128.load(both), v128.load(both, 16)));
  store<f32>(s + QUERY_ZERO, sumLanes(f32x4.add(v128.load(both, 32), v128.load(both, 48))));
  store<f32>(s + QUERY_EXACT_SUM, sumLanes(f32x4.add(v128.load(both, 64), v128.load(both, 80))));
  store<f32>(s + QUERY_LARGEST, maxLanes(f32x4.pmax(v128.load(both, 96), v128.load(both, 112))));
}

function quantizeWeights8(bits: i32, w: usize, numTokens: i32, high: usize, s: usize): void {
  const largest = load<f32>(s + QUERY_LARGEST);
  const scale = largest / 255;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 255 / largest);
  const sign = constant(BYTE_SIGNS);
  let sum = i32x4.splat(0);
  for (let t: usize = 0; t < <usize>numTokens; t += 32) {
    const a0 = rounded4(w, t, inverse), b0 = rounded4(w, t + 16, inverse);
    const a1 = rounded4(w, t + 4, inverse), b1 = rounded4(w, t + 20, inverse);
    const a2 = rounded4(w, t + 8, inverse), b2 = rounded4(w, t + 24, inverse);
    const a3 = rounded4(w, t + 12, inverse), b3 = rounded4(w, t + 28, inverse);
    v128.store(high + t, v128.xor(narrow4(b0, b1, b2, b3), sign), 16);
    v128.store(high + t, v128.xor(narrow4(a0, a1, a2, a3), sign));
    const a = i32x4.add(i32x4.add(a0, a1), i32x4.add(a2, a3)), b = i32x4.add(i32x4.add(b0, b1), i32x4.add(b2, b3));
    sum = i32x4.add(sum, i32x4.add(a, b));
  }
  addRest(addLanes(sum), scale, bits, s);
}

// @ts-ignore: decorator
@inline
function narrow4(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

function quantizeWeights14(bits: i32, w: usize, numTokens: i32, high: usize, low: usize, s: usize): void {
  const largest = load<f32>(s + QUERY_LARGEST);
  const scale = largest / 16383;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 16383 / largest);
  const mask = constant(LOW_7_BITS);
  let sum = i32x4.splat(0);
  for (let t: usize = 0; t < <usize>numTokens; t += 16) {
    const a0 = rounded4(w, t, inverse), a1 = rounded4(w, t + 4, inverse);
    const a2 = rounded4(w, t + 8, inverse), a3 = rounded4(w, t + 12, inverse);
    sum = i32x4.add(sum, i32x4.add(i32x4.add(a0, a1), i32x4.add(a2, a3)));
    const a = i16x8.narrow_i32x4_s(a0, a1), b = i16x8.narrow_i32x4_s(a2, a3);
    v128.store(high + t, i8x16.narrow_i16x8_s(i16x8.shr_u(a, 7), i16x8.shr_u(b, 7)));
    v128.store(low + t, i8x16.narrow_i16x8_s(v128.and(a, mask), v128.and(b, mask)));
  }
  store<i32>(s + QUERY_SUM, addLanes(sum));
  addRest(addLanes(sum), scale, bits, s);
}

// @ts-ignore: decorator
@inline
function rounded4(w: usize, t: usize, inverse: v128): v128 {
  return nearest4(f32x4.mul(v128.load(w + (t << 2)), inverse));
}

function accumulate8(bits: i32, high: usize, s: usize, d: i32, numTokens: i32, values: usize): void {
  dotRows(bits, codes, d, numTokens, high, sums);
  const scale = v128.load32_splat(s + QUERY_SCALE);
  const zero = v128.load32_splat(s + QUERY_ZERO);
  const correction = v128.load32_splat(s + QUERY_CORRECTION);
  for (let c: usize = 0; c < <usize>d << 2; c += 32) {
    // w = w' + 128, and rowSums are of codes times -128
    const a = i32x4.sub(v128.load(sums + c), v128.load(rowSums + c));
    const b = i32x4.sub(v128.load(sums + c, 16), v128.load(rowSums + c, 16));
    const x = madd(v128.load(values + c), correction, zero);
    const y = madd(v128.load(values + c, 16), correction, zero);
    v128.store(values + c, madd(f32x4.convert_i32x4_s(b), scale, y), 16);
    v128.store(values + c, madd(f32x4.convert_i32x4_s(a), scale, x));
  }
}

function accumulate14(bits: i32, high: usize, low: usize, s: usize, d: i32, numTokens: i32, values: usize): void {
  dotSignedRows(codes, d, numTokens, high, sums);
  dotSignedRows(codes, d, numTokens, low, lowSums);
  const scale = v128.load32_splat(s + QUERY_SCALE);
  const zero = v128.load32_splat(s + QUERY_ZERO);
  const correction = v128.load32_splat(s + QUERY_CORRECTION);
  // v = v' + 2^(bits - 1), w = 128 high + low
  const offset = i32x4.splat(load<i32>(s + QUERY_SUM) << (bits - 1));
  for (let c: usize = 0; c < <usize>d << 2; c += 32) {
    const a = i32x4.add(i32x4.shl(v128.load(sums + c), 7), v128.load(lowSums + c));
    const b = i32x4.add(i32x4.shl(v128.load(sums + c, 16), 7), v128.load(lowSums + c, 16));
    const x = madd(v128.load(values + c), correction, zero);
    const y = madd(v128.load(values + c, 16), correction, zero);
    v128.store(values + c, madd(f32x4.convert_i32x4_s(i32x4.add(b, offset)), scale, y), 16);
    v128.store(values + c, madd(f32x4.convert_i32x4_s(i32x4.add(a, offset)), scale, x));
  }
}
