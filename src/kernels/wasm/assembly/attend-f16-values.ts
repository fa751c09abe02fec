import { numTokensStride } from './attend-scores';
import { madd } from './simd';
import { decodeF16 } from './tile-codes';
import {
  part,
  QUERY_BYTES,
  QUERY_CORRECTION,
  QUERY_COUNT,
  scalars,
  scores,
  STATE_VALUES,
  stateBytes,
  tileV,
} from './tile-scratch';

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
    let c: usize = 0;
    for (; c + 256 <= bytes; c += 256) addTokens64(tileV + c, bytes, weights, count, correction, values + c);
    for (; c < bytes; c += 64) {
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
      v128.store(values + c, a1, 16);
      v128.store(values + c, a0);
      v128.store(values + c, a3, 48);
      v128.store(values + c, a2, 32);
    }
  }
}

/** 64 channels, all at once: each is a chain of additions, and one chain alone waits for itself. */
// @ts-ignore: decorator
@inline
function addTokens64(v: usize, rowBytes: usize, weights: usize, count: i32, correction: v128, values: usize): void {
  let a = f32x4.mul(v128.load(values), correction), b = f32x4.mul(v128.load(values, 16), correction);
  let c = f32x4.mul(v128.load(values, 32), correction), d = f32x4.mul(v128.load(values, 48), correction);
  let e = f32x4.mul(v128.load(values, 64), correction), f = f32x4.mul(v128.load(values, 80), correction);
  let g = f32x4.mul(v128.load(values, 96), correction), h = f32x4.mul(v128.load(values, 112), correction);
  let i = f32x4.mul(v128.load(values, 128), correction), j = f32x4.mul(v128.load(values, 144), correction);
  let k = f32x4.mul(v128.load(values, 160), correction), l = f32x4.mul(v128.load(values, 176), correction);
  let m = f32x4.mul(v128.load(values, 192), correction), n = f32x4.mul(v128.load(values, 208), correction);
  let o = f32x4.mul(v128.load(values, 224), correction), q = f32x4.mul(v128.load(values, 240), correction);
  const end = weights + (<usize>count << 2);
  for (let weight = weights; weight < end; weight += 4) {
    const p = v128.load32_splat(weight);
    a = madd(p, v128.load(v), a);
    b = madd(p, v128.load(v, 16), b);
    c = madd(p, v128.load(v, 32), c);
    d = madd(p, v128.load(v, 48), d);
    e = madd(p, v128.load(v, 64), e);
    f = madd(p, v128.load(v, 80), f);
    g = madd(p, v128.load(v, 96), g);
    h = madd(p, v128.load(v, 112), h);
    i = madd(p, v128.load(v, 128), i);
    j = madd(p, v128.load(v, 144), j);
    k = madd(p, v128.load(v, 160), k);
    l = madd(p, v128.load(v, 176), l);
    m = madd(p, v128.load(v, 192), m);
    n = madd(p, v128.load(v, 208), n);
    o = madd(p, v128.load(v, 224), o);
    q = madd(p, v128.load(v, 240), q);
    v += rowBytes;
  }
  v128.store(values, b, 16);
  v128.store(values, a);
  v128.store(values, d, 48);
  v128.store(values, c, 32);
  v128.store(values, f, 80);
  v128.store(values, e, 64);
  v128.store(values, h, 112);
  v128.store(values, g, 96);
  v128.store(values, j, 144);
  v128.store(values, i, 128);
  v128.store(values, l, 176);
  v128.store(values, k, 160);
  v128.store(values, n, 208);
  v128.store(values, m, 192);
  v128.store(values, q, 240);
  v128.store(values, o, 224);
}
