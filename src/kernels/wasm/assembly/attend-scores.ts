import { constant, LOW_7_BITS, WORDS_8192 } from './constants';
import { isWide, unpackTile } from './plane-codes';
import { dotRows, dotSignedRows } from './row-dots';
import { K_META_HEADER } from './seal';
import {
  addLanes,
  fill16,
  madd,
  maxMagnitude,
  maxMagnitudeLanes,
  nearest4,
  sumLanes,
  sumLanes4F32,
} from './simd';
import {
  addRest,
  decodeF16Pairs,
  decodeMeta,
} from './tile-codes';
import {
  channelScale,
  channelZero,
  codes,
  high,
  lanes,
  low,
  lowSums,
  QUERY_BYTES,
  QUERY_EXACT_SUM,
  QUERY_LARGEST,
  QUERY_SCALE,
  QUERY_SUM,
  QUERY_ZERO,
  rowSums,
  scalars,
  scores,
  sums,
  tileK,
  tokenFactor,
} from './tile-scratch';

/** Address of query vector i: rows of the unit, query heads of its KV head. */
// @ts-ignore: decorator
@inline
function queryAddress(queries: usize, rowBytes: usize, group: i32, d: i32, i: i32): usize {
  return queries + <usize>(i / group) * rowBytes + (<usize>((i % group) * d) << 2);
}

/** scores[i][t] = q[i] . k[t] for an f16 tile, [numTokens, d]. Tokens are taken by eight: up to seven beyond numTokens are scored. */
export function scoreF16Page(
  k: usize,
  d: i32,
  numTokens: i32,
  queries: usize,
  rowBytes: usize,
  group: i32,
  numQueries: i32,
): void {
  decodeF16Pairs(k, numTokens, d, tileK);
  const count = numTokensStride(numTokens);
  for (let i = 0; i < numQueries; i++) {
    scoreF16Rows(queryAddress(queries, rowBytes, group, d, i), d, count, scores + (<usize>(i * count) << 2));
  }
}

/** Rows t and t + 4 side by side, as decoded. */
function scoreF16Rows(q: usize, d: i32, count: i32, out: usize): void {
  const end = q + (<usize>d << 2);
  let p = tileK;
  for (let t: usize = 0; t < <usize>count << 2; t += 32) {
    let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
    for (let x = q; x < end; x += 16) {
      const v = v128.load(x);
      a0 = madd(v, v128.load(p), a0);
      b0 = madd(v, v128.load(p, 16), b0);
      a1 = madd(v, v128.load(p, 32), a1);
      b1 = madd(v, v128.load(p, 48), b1);
      a2 = madd(v, v128.load(p, 64), a2);
      b2 = madd(v, v128.load(p, 80), b2);
      a3 = madd(v, v128.load(p, 96), a3);
      b3 = madd(v, v128.load(p, 112), b3);
      p += 128;
    }
    v128.store(out + t, sumLanes4F32(b0, b1, b2, b3), 16);
    v128.store(out + t, sumLanes4F32(a0, a1, a2, a3));
  }
}

/** Scores of a query vector lie `numTokensStride` apart. */
// @ts-ignore: decorator
@inline
export function numTokensStride(numTokens: i32): i32 {
  return (numTokens + 7) & ~7;
}

/**
 * scores[i][t] = a[t] * (sum_c (q[c] s[c]) k[t, c] + sum_c q[c] z[c]) for a quantized tile: once a page, u[c] = q[c] s[c] becomes
 * integers with one scale, and the sum over channels is an integer dot product. Codes of up to 6 bits: u has 8 bits. Codes of 8: u has 14, in
 * two planes of 7.
 */
export function scoreSealedPage(
  bits: i32,
  meta: usize,
  plane0: usize,
  plane1: usize,
  d: i32,
  numTokens: i32,
  queries: usize,
  rowBytes: usize,
  group: i32,
  numQueries: i32,
): void {
  const padded = (d + 31) & ~31;
  const bytes = meta + K_META_HEADER;
  decodeMeta(bytes, meta, numTokens, tokenFactor);
  decodeMeta(bytes + <usize>numTokens, meta + 8, d, channelScale);
  decodeMeta(bytes + <usize>(numTokens + d), meta + 16, d, channelZero);
  unpackTile(bits, plane0, plane1, numTokens, padded, codes);
  const wide = isWide(bits);
  if (wide) {
    fill16(low, i8x16.splat(1), <usize>padded);
    dotSignedRows(codes, numTokens, padded, low, rowSums);
  }
  // Step by step for all queries: each step ends in a chain of dependent instructions, which then overlaps with the next query's start.
  for (let i = 0; i < numQueries; i++) {
    measureQuery(queryAddress(queries, rowBytes, group, d, i), d, scalars + <usize>i * QUERY_BYTES);
  }
  for (let i = 0; i < numQueries; i++) {
    const q = queryAddress(queries, rowBytes, group, d, i);
    const u = <usize>(i * padded);
    if (wide) quantizeQuery14(bits, q, d, padded, high + u, low + u, scalars + <usize>i * QUERY_BYTES);
    else quantizeQuery8(bits, q, d, high + u, scalars + <usize>i * QUERY_BYTES);
  }
  for (let i = 0; i < numQueries; i++) {
    const out = scores + (<usize>(i * numTokens) << 2);
    const u = <usize>(i * padded);
    if (wide) score14(bits, high + u, low + u, scalars + <usize>i * QUERY_BYTES, padded, numTokens, out);
    else score8(bits, high + u, scalars + <usize>i * QUERY_BYTES, padded, numTokens, out);
  }
}

/** Writes u = q * s as int8, and its scale to the scalars. */
function quantizeQuery8(bits: i32, q: usize, d: i32, high: usize, s: usize): void {
  const largest = load<f32>(s + QUERY_LARGEST);
  const scale = largest / 127;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 127 / largest);
  let sum = i32x4.splat(0);
  let c: usize = 0;
  for (; c + 32 <= <usize>d; c += 32) {
    const a0 = product4(q, c, inverse), b0 = product4(q, c + 16, inverse);
    const a1 = product4(q, c + 4, inverse), b1 = product4(q, c + 20, inverse);
    const a2 = product4(q, c + 8, inverse), b2 = product4(q, c + 24, inverse);
    const a3 = product4(q, c + 12, inverse), b3 = product4(q, c + 28, inverse);
    v128.store(high + c, narrow4(b0, b1, b2, b3), 16);
    v128.store(high + c, narrow4(a0, a1, a2, a3));
    const a = i32x4.add(i32x4.add(a0, a1), i32x4.add(a2, a3)), b = i32x4.add(i32x4.add(b0, b1), i32x4.add(b2, b3));
    sum = i32x4.add(sum, i32x4.add(a, b));
  }
  if (c < <usize>d) {
    const a0 = product4(q, c, inverse), a1 = product4(q, c + 4, inverse);
    const a2 = product4(q, c + 8, inverse), a3 = product4(q, c + 12, inverse);
    v128.store(high + c, i32x4.splat(0), 16);
    v128.store(high + c, narrow4(a0, a1, a2, a3));
    sum = i32x4.add(sum, i32x4.add(i32x4.add(a0, a1), i32x4.add(a2, a3)));
  }
  addRest(addLanes(sum), scale, bits, s);
}

// @ts-ignore: decorator
@inline
function narrow4(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}

/** The same with -8191..8191, offset by 8192 and cut into 7 high and 7 low bits. */
function quantizeQuery14(bits: i32, q: usize, d: i32, padded: i32, high: usize, low: usize, s: usize): void {
  const largest = load<f32>(s + QUERY_LARGEST);
  const scale = largest / 8191;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 8191 / largest);
  const offset = constant(WORDS_8192);
  const mask = constant(LOW_7_BITS);
  let sum = i32x4.splat(0);
  for (let c: usize = 0; c < <usize>d; c += 16) {
    const a0 = product4(q, c, inverse), a1 = product4(q, c + 4, inverse);
    const a2 = product4(q, c + 8, inverse), a3 = product4(q, c + 12, inverse);
    sum = i32x4.add(sum, i32x4.add(i32x4.add(a0, a1), i32x4.add(a2, a3)));
    const a = i16x8.add(i16x8.narrow_i32x4_s(a0, a1), offset), b = i16x8.add(i16x8.narrow_i32x4_s(a2, a3), offset);
    v128.store(high + c, i8x16.narrow_i16x8_s(i16x8.shr_u(a, 7), i16x8.shr_u(b, 7)));
    v128.store(low + c, i8x16.narrow_i16x8_s(v128.and(a, mask), v128.and(b, mask)));
  }
  if (padded > d) {
    // Padded channels: u = 0, which is 8192 with the offset. Their codes are 0, so -2^(bits - 1) as signed bytes.
    v128.store(high + <usize>d, i8x16.splat(64));
    v128.store(low + <usize>d, i8x16.splat(0));
  }
  store<i32>(s + QUERY_SUM, addLanes(sum));
  addRest(addLanes(sum), scale, bits, s);
}

/** The largest magnitude of u = q * s, the sum of u and q . z go to the scalars. */
function measureQuery(q: usize, d: i32, s: usize): void {
  let largest0 = i32x4.splat(0), largest1 = largest0;
  let sum0 = f32x4.splat(0), sum1 = sum0, zero0 = sum0, zero1 = sum0;
  for (let i: usize = 0; i < <usize>d << 2; i += 32) {
    const q0 = v128.load(q + i), q1 = v128.load(q + i, 16);
    const u0 = f32x4.mul(q0, v128.load(channelScale + i)), u1 = f32x4.mul(q1, v128.load(channelScale + i, 16));
    largest0 = maxMagnitude(largest0, u0);
    largest1 = maxMagnitude(largest1, u1);
    sum0 = f32x4.add(sum0, u0);
    sum1 = f32x4.add(sum1, u1);
    zero0 = madd(q0, v128.load(channelZero + i), zero0);
    zero1 = madd(q1, v128.load(channelZero + i, 16), zero1);
  }
  const both = lanes;
  v128.store(both, largest1, 16);
  v128.store(both, largest0);
  v128.store(both, sum1, 48);
  v128.store(both, sum0, 32);
  v128.store(both, zero1, 80);
  v128.store(both, zero0, 64);
  store<f32>(s + QUERY_EXACT_SUM, sumLanes(f32x4.add(v128.load(both, 32), v128.load(both, 48))));
  store<f32>(s + QUERY_ZERO, sumLanes(f32x4.add(v128.load(both, 64), v128.load(both, 80))));
  store<f32>(s + QUERY_LARGEST, maxMagnitudeLanes(i32x4.max_s(v128.load(both), v128.load(both, 16))));
}

// @ts-ignore: decorator
@inline
function product4(q: usize, c: usize, inverse: v128): v128 {
  const product = f32x4.mul(v128.load(q + (c << 2)), v128.load(channelScale + (c << 2)));
  return nearest4(f32x4.mul(product, inverse));
}

function score8(bits: i32, high: usize, s: usize, padded: i32, numTokens: i32, out: usize): void {
  dotRows(bits, codes, numTokens, padded, high, sums);
  const scale = v128.load32_splat(s + QUERY_SCALE);
  const zero = v128.load32_splat(s + QUERY_ZERO);
  for (let t: usize = 0; t < <usize>numTokens << 2; t += 32) {
    const a = madd(f32x4.convert_i32x4_s(v128.load(sums + t)), scale, zero);
    const b = madd(f32x4.convert_i32x4_s(v128.load(sums + t, 16)), scale, zero);
    const x = f32x4.mul(a, v128.load(tokenFactor + t)), y = f32x4.mul(b, v128.load(tokenFactor + t, 16));
    v128.store(out + t, y, 16);
    v128.store(out + t, x);
  }
}

function score14(bits: i32, high: usize, low: usize, s: usize, padded: i32, numTokens: i32, out: usize): void {
  dotSignedRows(codes, numTokens, padded, high, sums);
  dotSignedRows(codes, numTokens, padded, low, lowSums);
  const scale = v128.load32_splat(s + QUERY_SCALE);
  const zero = v128.load32_splat(s + QUERY_ZERO);
  // sum u k = sum (u' - 8192)(k' + 2^(bits - 1)), u' = 128 high + low.
  const offset = i32x4.splat(load<i32>(s + QUERY_SUM) << (bits - 1));
  for (let t: usize = 0; t < <usize>numTokens << 2; t += 32) {
    const a = i32x4.add(i32x4.shl(v128.load(sums + t), 7), v128.load(lowSums + t));
    const b = i32x4.add(i32x4.shl(v128.load(sums + t, 16), 7), v128.load(lowSums + t, 16));
    const e = i32x4.sub(offset, i32x4.shl(v128.load(rowSums + t), 13));
    const f = i32x4.sub(offset, i32x4.shl(v128.load(rowSums + t, 16), 13));
    const m = madd(f32x4.convert_i32x4_s(i32x4.add(a, e)), scale, zero);
    const n = madd(f32x4.convert_i32x4_s(i32x4.add(b, f)), scale, zero);
    const x = f32x4.mul(m, v128.load(tokenFactor + t)), y = f32x4.mul(n, v128.load(tokenFactor + t, 16));
    v128.store(out + t, y, 16);
    v128.store(out + t, x);
  }
}
