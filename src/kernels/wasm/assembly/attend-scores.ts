import { constant, LOW_7_BITS, WORDS_8192 } from './constants';
import { K_META_HEADER } from './seal';
import { addLanes, madd, maxMagnitude, maxMagnitudeLanes, sumBytes, sumLanes, sumLanes4F32, truncate4 } from './simd';
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
  channelScale,
  channelZero,
  codes,
  high,
  low,
  QUERY_BYTES,
  QUERY_EXACT_SUM,
  QUERY_SCALE,
  QUERY_SUM,
  QUERY_ZERO,
  rowSums,
  scalars,
  scores,
  tileK,
  tokenFactor,
} from './tile-scratch';

/** Address of query vector i: rows of the unit, query heads of its KV head. */
// @ts-ignore: decorator
@inline
function queryAddress(queries: usize, rowBytes: usize, group: i32, d: i32, i: i32): usize {
  return queries + <usize>(i / group) * rowBytes + (<usize>((i % group) * d) << 2);
}

/** scores[i][t] = q[i] . k[t] for an f16 tile, [numTokens, d]. Tokens are taken by four: up to three beyond numTokens are scored. */
export function scoreF16Page(
  k: usize,
  d: i32,
  numTokens: i32,
  queries: usize,
  rowBytes: usize,
  group: i32,
  numQueries: i32,
): void {
  const count = numTokensStride(numTokens);
  decodeF16(k, numTokens * d, tileK);
  memory.fill(tileK + (<usize>(numTokens * d) << 2), 0, <usize>((count - numTokens) * d) << 2);
  const bytes = <usize>d << 2;
  for (let i = 0; i < numQueries; i++) {
    const q = queryAddress(queries, rowBytes, group, d, i);
    const out = scores + (<usize>(i * count) << 2);
    for (let t = 0; t < count; t += 4) {
      const row = tileK + <usize>t * bytes;
      let a = f32x4.splat(0), b = a, c = a, e = a;
      for (let j: usize = 0; j < bytes; j += 16) {
        const v = v128.load(q + j);
        a = madd(v, v128.load(row + j), a);
        b = madd(v, v128.load(row + bytes + j), b);
        c = madd(v, v128.load(row + 2 * bytes + j), c);
        e = madd(v, v128.load(row + 3 * bytes + j), e);
      }
      v128.store(out + (<usize>t << 2), sumLanes4F32(a, b, c, e));
    }
  }
}

/** Scores of a query vector lie `numTokensStride` apart. */
// @ts-ignore: decorator
@inline
export function numTokensStride(numTokens: i32): i32 {
  return (numTokens + 3) & ~3;
}

/**
 * scores[i][t] = a[t] * (sum_c (q[c] s[c]) k[t, c] + sum_c q[c] z[c]) for a quantized tile: once a page, u[c] = q[c] s[c] becomes
 * integers with one scale, and the sum over channels is an integer dot product. 4-bit codes: u has 8 bits. 8-bit codes: u has 14, in two planes
 * of 7, since a finer cache deserves finer queries.
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
  if (bits == 4) {
    unpackPlane(plane0, numTokens * padded, codes);
  } else {
    unpackPlanes(plane0, plane1, numTokens * padded, codes);
    sumRows(codes, numTokens, padded, rowSums);
  }
  for (let i = 0; i < numQueries; i++) {
    const q = queryAddress(queries, rowBytes, group, d, i);
    const out = scores + (<usize>(i * numTokens) << 2);
    const s = scalars + <usize>i * QUERY_BYTES;
    if (bits == 4) {
      quantizeQuery8(q, d, padded, s);
      score8(s, padded, numTokens, out);
    } else {
      quantizeQuery14(q, d, padded, s);
      score14(s, padded, numTokens, out);
    }
  }
}

/** Writes u = q * s as int8 to `high`, its scale and q . z to the scalars. */
function quantizeQuery8(q: usize, d: i32, padded: i32, s: usize): void {
  const largest = measureQuery(q, d, s);
  const scale = largest / 127;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 127 / largest);
  let sum = i32x4.splat(0);
  for (let c: usize = 0; c < <usize>d; c += 16) {
    const u = i8x16.narrow_i16x8_s(
      i16x8.narrow_i32x4_s(product4(q, c, inverse), product4(q, c + 4, inverse)),
      i16x8.narrow_i32x4_s(product4(q, c + 8, inverse), product4(q, c + 12, inverse)),
    );
    v128.store(high + c, u);
    sum = i32x4.add(sum, sumBytes(u));
  }
  memory.fill(high + <usize>d, 0, <usize>(padded - d));
  addRest(addLanes(sum), scale, MIDDLE_4_BITS, s);
}

/** The same with -8191..8191, offset by 8192 and cut into 7 high and 7 low bits. */
function quantizeQuery14(q: usize, d: i32, padded: i32, s: usize): void {
  const largest = measureQuery(q, d, s);
  const scale = largest / 8191;
  store<f32>(s + QUERY_SCALE, scale);
  const inverse = f32x4.splat(largest < 1e-30 ? 0 : 8191 / largest);
  const offset = constant(WORDS_8192);
  const mask = constant(LOW_7_BITS);
  let sum = i32x4.splat(0);
  for (let c: usize = 0; c < <usize>d; c += 16) {
    const a = i16x8.narrow_i32x4_s(product4(q, c, inverse), product4(q, c + 4, inverse));
    const b = i16x8.narrow_i32x4_s(product4(q, c + 8, inverse), product4(q, c + 12, inverse));
    sum = i32x4.add(sum, i32x4.add(i32x4.extadd_pairwise_i16x8_s(a), i32x4.extadd_pairwise_i16x8_s(b)));
    const a1 = i16x8.add(a, offset), b1 = i16x8.add(b, offset);
    v128.store(high + c, i8x16.narrow_i16x8_s(i16x8.shr_u(a1, 7), i16x8.shr_u(b1, 7)));
    v128.store(low + c, i8x16.narrow_i16x8_s(v128.and(a1, mask), v128.and(b1, mask)));
  }
  // Padded channels: u = 0, which is 8192 with the offset. Their codes are 0, so -128 as signed bytes.
  memory.fill(high + <usize>d, 64, <usize>(padded - d));
  memory.fill(low + <usize>d, 0, <usize>(padded - d));
  store<i32>(s + QUERY_SUM, addLanes(sum));
  addRest(addLanes(sum), scale, MIDDLE_8_BITS, s);
}

/** The largest magnitude of u = q * s. The sum of u and q . z go to the scalars. */
function measureQuery(q: usize, d: i32, s: usize): f32 {
  let largest = i32x4.splat(0);
  let sum = f32x4.splat(0), zero = sum;
  for (let i: usize = 0; i < <usize>d << 2; i += 32) {
    const q0 = v128.load(q + i), q1 = v128.load(q + i, 16);
    const u0 = f32x4.mul(q0, v128.load(channelScale + i)), u1 = f32x4.mul(q1, v128.load(channelScale + i, 16));
    largest = maxMagnitude(maxMagnitude(largest, u0), u1);
    sum = f32x4.add(sum, f32x4.add(u0, u1));
    zero = madd(q1, v128.load(channelZero + i, 16), madd(q0, v128.load(channelZero + i), zero));
  }
  store<f32>(s + QUERY_EXACT_SUM, sumLanes(sum));
  store<f32>(s + QUERY_ZERO, sumLanes(zero));
  return maxMagnitudeLanes(largest);
}

// @ts-ignore: decorator
@inline
function product4(q: usize, c: usize, inverse: v128): v128 {
  const product = f32x4.mul(v128.load(q + (c << 2)), v128.load(channelScale + (c << 2)));
  return truncate4(f32x4.nearest(f32x4.mul(product, inverse)));
}

function score8(s: usize, padded: i32, numTokens: i32, out: usize): void {
  const n = <usize>padded;
  const scale = v128.load32_splat(s + QUERY_SCALE);
  const zero = v128.load32_splat(s + QUERY_ZERO);
  const u0 = v128.load(high), u1 = v128.load(high, 16), u2 = v128.load(high, 32), u3 = v128.load(high, 48);
  for (let t = 0; t < numTokens; t += 4) {
    storeScores(dotRows4(codes + <usize>t * n, n, high, u0, u1, u2, u3), scale, zero, t, out);
  }
}

function score14(s: usize, padded: i32, numTokens: i32, out: usize): void {
  const n = <usize>padded;
  const scale = v128.load32_splat(s + QUERY_SCALE);
  const zero = v128.load32_splat(s + QUERY_ZERO);
  // sum u k = sum (u' - 8192)(k' + 128), u' = 128 high + low.
  const constant128 = i32x4.splat(128 * load<i32>(s + QUERY_SUM));
  for (let t = 0; t < numTokens; t += 4) {
    const offset = i32x4.sub(constant128, i32x4.shl(v128.load(rowSums + (<usize>t << 2)), 13));
    const sum = dotRows4Planes(codes + <usize>t * n, n, high, low);
    storeScores(i32x4.add(sum, offset), scale, zero, t, out);
  }
}

// @ts-ignore: decorator
@inline
function storeScores(sums: v128, scale: v128, zero: v128, t: i32, out: usize): void {
  const inner = madd(f32x4.convert_i32x4_s(sums), scale, zero);
  v128.store(out + (<usize>t << 2), f32x4.mul(inner, v128.load(tokenFactor + (<usize>t << 2))));
}
