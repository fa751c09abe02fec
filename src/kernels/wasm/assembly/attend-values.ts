import { BYTE_SIGNS, constant, LOW_7_BITS, MINUS_INFINITY } from './constants';
import { numTokensStride } from './attend-scores';
import { V_META_HEADER } from './seal';
import {
  addLanes,
  exp1NotAbove0,
  expNotAbove0,
  madd,
  maxLanes,
  maxMagnitude,
  maxMagnitudeLanes,
  sumBytes,
  sumLanes,
  truncate4,
} from './simd';
import {
  addRest,
  decodeF16,
  decodeMeta,
  dotRows4,
  dotRows4Planes,
  MIDDLE_4_BITS,
  MIDDLE_8_BITS,
  sumRows,
  unpackPlane,
  unpackPlanes,
} from './tile-codes';
import {
  codes,
  high,
  low,
  part,
  QUERY_BYTES,
  QUERY_CORRECTION,
  QUERY_COUNT,
  QUERY_EXACT_SUM,
  QUERY_SCALE,
  QUERY_SUM,
  QUERY_ZERO,
  rowSums,
  scalars,
  scores,
  STATE_SUM,
  STATE_VALUES,
  stateBytes,
  tileV,
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
    let sum = f32x4.splat(0);
    for (let t: usize = 0; t < <usize>stride << 2; t += 16) {
      const x = v128.load(row + t);
      // Unseen tokens get exactly nothing.
      const p = v128.and(expNotAbove0(f32x4.sub(x, m)), f32x4.ne(x, constant(MINUS_INFINITY)));
      v128.store(row + t, p);
      sum = f32x4.add(sum, p);
    }
    addToSum(state, s, sum);
  }
}

/** The state's maximum with the scores of a page. What was summed so far is to be multiplied by the correction. */
// @ts-ignore: decorator
@inline
function raiseMaximum(row: usize, count: i32, state: usize, s: usize): f32 {
  let largest = v128.load(row);
  for (let t: usize = 16; t < <usize>count << 2; t += 16) largest = f32x4.pmax(largest, v128.load(row + t));
  const before = load<f32>(state);
  const maximum = max(before, maxLanes(largest));
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

/** values = values * correction + sum_t p[t] v[t], over the tokens that the query sees, for an f16 tile [numTokens, d]. */
export function accumulateF16Page(v: usize, d: i32, numTokens: i32, numQueries: i32): void {
  decodeF16(v, numTokens * d, tileV);
  const stride = numTokensStride(numTokens);
  const bytes = <usize>d << 2;
  for (let i = 0; i < numQueries; i++) {
    const s = scalars + <usize>i * QUERY_BYTES;
    const weights = scores + (<usize>(i * stride) << 2);
    const count = load<i32>(s + QUERY_COUNT);
    const correction = v128.load32_splat(s + QUERY_CORRECTION);
    const values = part + <usize>i * stateBytes(d) + STATE_VALUES;
    for (let c: usize = 0; c < bytes; c += 64) {
      const columns = tileV + c;
      let a0 = f32x4.mul(v128.load(values + c), correction);
      let a1 = f32x4.mul(v128.load(values + c, 16), correction);
      let a2 = f32x4.mul(v128.load(values + c, 32), correction);
      let a3 = f32x4.mul(v128.load(values + c, 48), correction);
      let r = columns;
      for (let t: usize = 0; t < <usize>count; t++) {
        const p = v128.load32_splat(weights + (t << 2));
        a0 = madd(p, v128.load(r), a0);
        a1 = madd(p, v128.load(r, 16), a1);
        a2 = madd(p, v128.load(r, 32), a2);
        a3 = madd(p, v128.load(r, 48), a3);
        r += bytes;
      }
      v128.store(values + c, a0);
      v128.store(values + c, a1, 16);
      v128.store(values + c, a2, 32);
      v128.store(values + c, a3, 48);
    }
  }
}

/**
 * Softmax and values of a quantized tile, all of whose tokens every query sees: p[t] = e^(score - maximum), then
 * values = values * correction + sum_t (p[t] s[t]) v[t, c] + sum_t p[t] z[t]. w[t] = p[t] s[t] becomes integers with one scale. 4-bit codes: w has 8
 * bits, stored less 128, which the sums of the codes make up for. 8-bit codes: w has 14, in two planes of 7.
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
  if (bits == 4) {
    unpackPlane(plane0, d * numTokens, codes);
    sumRows(codes, d, numTokens, rowSums);
  } else {
    unpackPlanes(plane0, plane1, d * numTokens, codes);
  }
  for (let i = 0; i < numQueries; i++) {
    const s = scalars + <usize>i * QUERY_BYTES;
    const row = scores + (<usize>(i * numTokens) << 2);
    const state = part + <usize>i * stateBytes(d);
    const largest = weighTokens(row, numTokens, state, s);
    if (bits == 4) {
      quantizeWeights8(row, numTokens, s, largest);
      accumulate8(s, d, numTokens, state + STATE_VALUES);
    } else {
      quantizeWeights14(row, numTokens, s, largest);
      accumulate14(s, d, numTokens, state + STATE_VALUES);
    }
  }
}

/** Scores become w in place; their softmax goes to the state and p . z to the scalars. Returns the largest w; none is negative. */
function weighTokens(row: usize, numTokens: i32, state: usize, s: usize): f32 {
  const m = f32x4.splat(raiseMaximum(row, numTokens, state, s));
  let sum = f32x4.splat(0);
  let zero = f32x4.splat(0);
  let weights = f32x4.splat(0);
  let largest = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>numTokens << 2; i += 16) {
    const p = expNotAbove0(f32x4.sub(v128.load(row + i), m));
    sum = f32x4.add(sum, p);
    zero = madd(p, v128.load(tokenZero + i), zero);
    const w = f32x4.mul(p, v128.load(tokenScale + i));
    v128.store(row + i, w);
    largest = maxMagnitude(largest, w);
    weights = f32x4.add(weights, w);
  }
  addToSum(state, s, sum);
  store<f32>(s + QUERY_EXACT_SUM, sumLanes(weights));
  store<f32>(s + QUERY_ZERO, sumLanes(zero));
  return maxMagnitudeLanes(largest);
}

function quantizeWeights8(w: usize, numTokens: i32, s: usize, largest: f32): void {
  const scale = largest / 255;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 255 / largest);
  const sign = constant(BYTE_SIGNS);
  let sum = i32x4.splat(128 / 4 * numTokens);
  for (let t: usize = 0; t < <usize>numTokens; t += 16) {
    const packed = i8x16.narrow_i16x8_u(
      i16x8.narrow_i32x4_s(rounded4(w, t, inverse), rounded4(w, t + 4, inverse)),
      i16x8.narrow_i32x4_s(rounded4(w, t + 8, inverse), rounded4(w, t + 12, inverse)),
    );
    const signed = v128.xor(packed, sign);
    v128.store(high + t, signed);
    sum = i32x4.add(sum, sumBytes(signed));
  }
  addRest(addLanes(sum), scale, MIDDLE_4_BITS, s);
}

function quantizeWeights14(w: usize, numTokens: i32, s: usize, largest: f32): void {
  const scale = largest / 16383;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 16383 / largest);
  const mask = constant(LOW_7_BITS);
  let sum = i32x4.splat(0);
  for (let t: usize = 0; t < <usize>numTokens; t += 16) {
    const a = i16x8.narrow_i32x4_s(rounded4(w, t, inverse), rounded4(w, t + 4, inverse));
    const b = i16x8.narrow_i32x4_s(rounded4(w, t + 8, inverse), rounded4(w, t + 12, inverse));
    sum = i32x4.add(sum, i32x4.add(i32x4.extadd_pairwise_i16x8_s(a), i32x4.extadd_pairwise_i16x8_s(b)));
    v128.store(high + t, i8x16.narrow_i16x8_s(i16x8.shr_u(a, 7), i16x8.shr_u(b, 7)));
    v128.store(low + t, i8x16.narrow_i16x8_s(v128.and(a, mask), v128.and(b, mask)));
  }
  store<i32>(s + QUERY_SUM, addLanes(sum));
  addRest(addLanes(sum), scale, MIDDLE_8_BITS, s);
}

// @ts-ignore: decorator
@inline
function rounded4(w: usize, t: usize, inverse: v128): v128 {
  return truncate4(f32x4.nearest(f32x4.mul(v128.load(w + (t << 2)), inverse)));
}

function accumulate8(s: usize, d: i32, numTokens: i32, values: usize): void {
  const n = <usize>numTokens;
  const w0 = v128.load(high), w1 = v128.load(high, 16), w2 = v128.load(high, 32), w3 = v128.load(high, 48);
  for (let channel = 0; channel < d; channel += 4) {
    // w = w' + 128
    const offset = i32x4.shl(v128.load(rowSums + (<usize>channel << 2)), 7);
    const sum = dotRows4(codes + <usize>channel * n, n, high, w0, w1, w2, w3);
    addValues(i32x4.add(sum, offset), s, values + (<usize>channel << 2));
  }
}

function accumulate14(s: usize, d: i32, numTokens: i32, values: usize): void {
  const n = <usize>numTokens;
  // v = v' + 128, w = 128 high + low
  const constant128 = i32x4.splat(128 * load<i32>(s + QUERY_SUM));
  for (let channel = 0; channel < d; channel += 4) {
    const sum = dotRows4Planes(codes + <usize>channel * n, n, high, low);
    addValues(i32x4.add(sum, constant128), s, values + (<usize>channel << 2));
  }
}

// @ts-ignore: decorator
@inline
function addValues(sums: v128, s: usize, values: usize): void {
  const scale = v128.load32_splat(s + QUERY_SCALE);
  const zero = v128.load32_splat(s + QUERY_ZERO);
  const correction = v128.load32_splat(s + QUERY_CORRECTION);
  const old = madd(v128.load(values), correction, zero);
  v128.store(values, madd(f32x4.convert_i32x4_s(sums), scale, old));
}
