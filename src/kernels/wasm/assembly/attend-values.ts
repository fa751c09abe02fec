import { BYTE_SIGNS, constant, LOW_7_BITS, MINUS_INFINITY } from './constants';
import { numTokensStride } from './attend-scores';
import { V_META_HEADER } from './seal';
import { dot, exp1, exp4, loadF16x4, madd, maxLanes, step, sumLanes, sumLanes4, truncate4, widen } from './simd';
import { decodeMeta, dotF32, unpackPlane, unpackPlanes } from './tile-codes';
import {
  codes,
  high,
  low,
  part,
  QUERY_BYTES,
  QUERY_CORRECTION,
  QUERY_COUNT,
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

/** Turns scores into weights e^(score - maximum) in place, for the tokens that the query sees; 0 for the others. */
export function softmaxPage(numTokens: i32, numQueries: i32, d: i32): void {
  const stride = numTokensStride(numTokens);
  for (let i = 0; i < numQueries; i++) {
    const s = scalars + <usize>i * QUERY_BYTES;
    const row = scores + (<usize>(i * stride) << 2);
    softmaxRow(row, load<i32>(s + QUERY_COUNT), stride, part + <usize>i * stateBytes(d), s);
  }
}

function softmaxRow(row: usize, count: i32, stride: i32, state: usize, s: usize): void {
  for (let t = count; t < stride; t++) store<f32>(row + (<usize>t << 2), -Infinity);
  const end = <usize>((count + 3) & ~3) << 2;
  let largest = constant(MINUS_INFINITY);
  for (let t: usize = 0; t < end; t += 16) largest = f32x4.max(largest, v128.load(row + t));
  const before = load<f32>(state);
  const maximum = max(before, maxLanes(largest));
  const m = f32x4.splat(maximum);
  let sum = f32x4.splat(0);
  for (let t: usize = 0; t < <usize>stride << 2; t += 16) {
    const x = v128.load(row + t);
    // Unseen tokens get exactly nothing.
    const p = v128.and(exp4(f32x4.sub(x, m)), f32x4.ne(x, constant(MINUS_INFINITY)));
    v128.store(row + t, p);
    sum = f32x4.add(sum, p);
  }
  const correction = exp1(before - maximum);
  store<f32>(s + QUERY_CORRECTION, correction);
  store<f32>(state, maximum);
  store<f32>(state + STATE_SUM, load<f32>(state + STATE_SUM) * correction + sumLanes(sum));
}

/** values = values * correction + sum_t p[t] v[t], over the tokens that the query sees, for an f16 tile [numTokens, d]. */
export function accumulateF16Page(v: usize, d: i32, numTokens: i32, numQueries: i32): void {
  for (let i: usize = 0; i < <usize>(numTokens * d); i += 4) v128.store(tileV + (i << 2), loadF16x4(v + (i << 1)));
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
 * values = values * correction + sum_t (p[t] s[t]) v[t, c] + sum_t p[t] z[t] for a quantized tile: w[t] = p[t] s[t] becomes integers with one
 * scale. 4-bit codes: w has 8 bits, stored less 128, which the sums of the codes make up for. 8-bit codes: w has 14, in two planes of 7.
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
  if (bits == 4) unpackPlane(plane0, d, numTokens, codes, rowSums);
  else unpackPlanes(plane0, plane1, d, numTokens, codes, rowSums);
  for (let i = 0; i < numQueries; i++) {
    const s = scalars + <usize>i * QUERY_BYTES;
    const weights = scores + (<usize>(i * numTokens) << 2);
    const values = part + <usize>i * stateBytes(d) + STATE_VALUES;
    if (bits == 4) {
      quantizeWeights8(weights, numTokens, s);
      accumulate8(s, d, numTokens, values);
    } else {
      quantizeWeights14(weights, numTokens, s);
      accumulate14(s, d, numTokens, values);
    }
  }
}

function quantizeWeights8(p: usize, numTokens: i32, s: usize): void {
  const largest = scaleWeights(p, numTokens, s);
  store<f32>(s + QUERY_SCALE, largest / 255);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 255 / largest);
  const sign = constant(BYTE_SIGNS);
  for (let t: usize = 0; t < <usize>numTokens; t += 16) {
    const packed = i8x16.narrow_i16x8_u(
      i16x8.narrow_i32x4_s(rounded4(p, t, inverse), rounded4(p, t + 4, inverse)),
      i16x8.narrow_i32x4_s(rounded4(p, t + 8, inverse), rounded4(p, t + 12, inverse)),
    );
    v128.store(high + t, v128.xor(packed, sign));
  }
}

function quantizeWeights14(p: usize, numTokens: i32, s: usize): void {
  const largest = scaleWeights(p, numTokens, s);
  store<f32>(s + QUERY_SCALE, largest / 16383);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 16383 / largest);
  const mask = constant(LOW_7_BITS);
  let sum = i32x4.splat(0);
  for (let t: usize = 0; t < <usize>numTokens; t += 16) {
    const a = i16x8.narrow_i32x4_s(rounded4(p, t, inverse), rounded4(p, t + 4, inverse));
    const b = i16x8.narrow_i32x4_s(rounded4(p, t + 8, inverse), rounded4(p, t + 12, inverse));
    sum = i32x4.add(sum, i32x4.add(i32x4.extadd_pairwise_i16x8_s(a), i32x4.extadd_pairwise_i16x8_s(b)));
    v128.store(high + t, i8x16.narrow_i16x8_s(i16x8.shr_u(a, 7), i16x8.shr_u(b, 7)));
    v128.store(low + t, i8x16.narrow_i16x8_s(v128.and(a, mask), v128.and(b, mask)));
  }
  store<i32>(
    s + QUERY_SUM,
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3),
  );
}

/** p becomes p * s; p . z goes to the scalars. Returns the largest p * s; none is negative. */
function scaleWeights(p: usize, numTokens: i32, s: usize): f32 {
  store<f32>(s + QUERY_ZERO, dotF32(p, tokenZero, numTokens));
  let largest = f32x4.splat(0);
  for (let i: usize = 0; i < <usize>numTokens << 2; i += 16) {
    const w = f32x4.mul(v128.load(p + i), v128.load(tokenScale + i));
    v128.store(p + i, w);
    largest = f32x4.max(largest, w);
  }
  return maxLanes(largest);
}

// @ts-ignore: decorator
@inline
function rounded4(p: usize, t: usize, inverse: v128): v128 {
  return truncate4(f32x4.nearest(f32x4.mul(v128.load(p + (t << 2)), inverse)));
}

/** Bytes of a row between widenings: 8 steps of 16. */
const WIDEN_AFTER: usize = 128;

function accumulate8(s: usize, d: i32, numTokens: i32, values: usize): void {
  const n = <usize>numTokens;
  for (let channel = 0; channel < d; channel += 4) {
    const row = codes + <usize>channel * n;
    // w = w' + 128
    let total = i32x4.shl(v128.load(rowSums + (<usize>channel << 2)), 7);
    for (let first: usize = 0; first < n; first += WIDEN_AFTER) {
      const end = min(first + WIDEN_AFTER, n);
      let a = i32x4.splat(0), b = a, c = a, e = a;
      for (let j = first; j < end; j += 16) {
        const w = v128.load(high + j);
        a = step(w, v128.load(row + j), a);
        b = step(w, v128.load(row + n + j), b);
        c = step(w, v128.load(row + 2 * n + j), c);
        e = step(w, v128.load(row + 3 * n + j), e);
      }
      total = i32x4.add(total, sumLanes4(widen(a), widen(b), widen(c), widen(e)));
    }
    addValues(total, s, values + (<usize>channel << 2));
  }
}

function accumulate14(s: usize, d: i32, numTokens: i32, values: usize): void {
  const n = <usize>numTokens;
  // v = v' + 128, w = 128 high + low
  const constant = i32x4.splat(128 * load<i32>(s + QUERY_SUM));
  for (let channel = 0; channel < d; channel += 4) {
    const row = codes + <usize>channel * n;
    let a = i32x4.splat(0), b = a, c = a, e = a, f = a, g = a, h = a, k = a;
    for (let j: usize = 0; j < n; j += 16) {
      const u = v128.load(high + j);
      const l = v128.load(low + j);
      let r = v128.load(row + j);
      a = dot(r, u, a);
      f = dot(r, l, f);
      r = v128.load(row + n + j);
      b = dot(r, u, b);
      g = dot(r, l, g);
      r = v128.load(row + 2 * n + j);
      c = dot(r, u, c);
      h = dot(r, l, h);
      r = v128.load(row + 3 * n + j);
      e = dot(r, u, e);
      k = dot(r, l, k);
    }
    const sum = i32x4.add(i32x4.shl(sumLanes4(a, b, c, e), 7), sumLanes4(f, g, h, k));
    addValues(i32x4.add(sum, constant), s, values + (<usize>channel << 2));
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
