import {
  ATTN_HEAD_DIM,
  ATTN_NUM_KV_HEADS,
  ATTN_PAGE_TOKENS,
  COMMAND_ARGUMENTS,
  LAYER_K_BITS,
  LAYER_V_BITS,
  SEGMENT_OPEN_PAGE,
  SEGMENT_SEAL_INTO,
} from './commands';
import { loadF16x4, maxLanes, minLanes, sumLanes } from './simd';
import { packRow, plane0Width, plane1Width } from './plane-codes';
import { keyMeta, keyPlane0, keyPlane1, layerRecord, valueMeta, valuePlane0, valuePlane1 } from './tile-address';
import { decodeF16, decodeMeta } from './tile-codes';
import {
  channelScale,
  channelZero,
  layScratch,
  scores,
  tileK,
  tileV,
  tokenFactor,
  tokenScale,
  tokenZero,
} from './tile-scratch';

/**
 * Sealing: the steps of docs/page-format.md, each one float32 operation in the order written there (never fused), so that the
 * bytes are those of every other implementation.
 */

/** Bytes of float32 pairs before the metadata bytes of K (three pairs, 8 bytes of zeros) and V (two pairs). */
export const K_META_HEADER: usize = 32;
export const V_META_HEADER: usize = 16;

/** The work item is (index in the list of segments to seal) * numKvHeads + head. Arguments: parameters, layer, list of segments. */
export function sealTiles(command: usize, begin: i32, end: i32, scratch: usize): void {
  const args = command + COMMAND_ARGUMENTS;
  const params = <usize>load<u32>(args);
  const layer = load<i32>(args, 4);
  const numKvHeads = load<i32>(params, ATTN_NUM_KV_HEADS);
  layScratch(scratch, params);
  for (let item = begin; item < end; item++) {
    const segment = <usize>load<u32>(<usize>load<u32>(args, 8) + (<usize>(item / numKvHeads) << 2));
    sealTile(
      params,
      <usize>load<u32>(segment, SEGMENT_OPEN_PAGE),
      <usize>load<u32>(segment, SEGMENT_SEAL_INTO),
      layer,
      item % numKvHeads,
    );
  }
}

function sealTile(params: usize, open: usize, sealed: usize, layer: i32, head: i32): void {
  const d = load<i32>(params, ATTN_HEAD_DIM);
  const numTokens = load<i32>(params, ATTN_PAGE_TOKENS);
  const record = layerRecord(params, layer);
  const kBits = load<i32>(record, LAYER_K_BITS);
  const vBits = load<i32>(record, LAYER_V_BITS);
  const tileBytes = <usize>(numTokens * d) << 1;
  const k = open + <usize>((layer * load<i32>(params, ATTN_NUM_KV_HEADS) + head) * 2) * tileBytes;
  const v = k + tileBytes;
  const k0 = keyPlane0(record, sealed, head);
  const v0 = valuePlane0(record, sealed, head);
  if (kBits == 16) memory.copy(k0, k, tileBytes);
  else sealKeys(k, numTokens, d, kBits, keyMeta(record, sealed, head), k0, keyPlane1(record, sealed, head));
  if (vBits == 16) memory.copy(v0, v, tileBytes);
  else sealValues(v, numTokens, d, vBits, valueMeta(record, sealed, head), v0, valuePlane1(record, sealed, head));
}

function sealKeys(k: usize, numTokens: i32, d: i32, bits: i32, meta: usize, plane0: usize, plane1: usize): void {
  decodeF16(k, numTokens * d, tileK);
  tokenFactors(numTokens, d);
  const bytes = meta + K_META_HEADER;
  memory.fill(meta, 0, K_META_HEADER);
  encodeMeta(tokenFactor, numTokens, true, meta, bytes);
  divideTokens(numTokens, d);
  channelRanges(numTokens, d);
  finishMeta(channelZero, channelScale, d, bits, meta + 8, bytes + <usize>numTokens, bytes + <usize>(numTokens + d));
  for (let c: usize = 0; c < <usize>d << 2; c += 16) invert4(channelScale + c);
  packKeyRows(numTokens, d, bits, plane0, plane1);
}

/** Steps 1 and 2. `tokenFactor` gets a; `channelScale` is used for the channels' deviations. */
function tokenFactors(numTokens: i32, d: i32): void {
  const least = f32x4.splat(1e-6);
  const tokens = f32x4.splat(<f32>numTokens);
  const rowBytes = <usize>d << 2;
  const end = tileK + <usize>numTokens * rowBytes;
  for (let c: usize = 0; c < rowBytes; c += 16) {
    let sum = f32x4.splat(0);
    for (let x = tileK + c; x < end; x += rowBytes) sum = f32x4.add(sum, v128.load(x));
    const mean = f32x4.div(sum, tokens);
    let squares = f32x4.splat(0);
    for (let x = tileK + c; x < end; x += rowBytes) {
      const difference = f32x4.sub(v128.load(x), mean);
      squares = f32x4.add(squares, f32x4.mul(difference, difference));
    }
    v128.store(channelScale + c, f32x4.max(f32x4.sqrt(f32x4.div(squares, tokens)), least));
  }
  for (let t = 0; t < numTokens; t++) {
    const x = tileK + <usize>t * rowBytes;
    let sum = f32x4.splat(0);
    for (let c: usize = 0; c < rowBytes; c += 16) {
      sum = f32x4.add(sum, f32x4.div(v128.load(x + c), v128.load(channelScale + c)));
    }
    const mean = f32x4.splat(sumLanes(sum) / <f32>d);
    let squares = f32x4.splat(0);
    for (let c: usize = 0; c < rowBytes; c += 16) {
      const difference = f32x4.sub(f32x4.div(v128.load(x + c), v128.load(channelScale + c)), mean);
      squares = f32x4.add(squares, f32x4.mul(difference, difference));
    }
    store<f32>(tokenFactor + (<usize>t << 2), max<f32>(sqrt<f32>(sumLanes(squares) / <f32>d), 1e-6));
  }
}

/** Step 4. */
function divideTokens(numTokens: i32, d: i32): void {
  const rowBytes = <usize>d << 2;
  for (let t = 0; t < numTokens; t++) {
    const x = tileK + <usize>t * rowBytes;
    const reciprocal = f32x4.splat(1 / load<f32>(tokenFactor + (<usize>t << 2)));
    for (let c: usize = 0; c < rowBytes; c += 16) v128.store(x + c, f32x4.mul(v128.load(x + c), reciprocal));
  }
}

/** Least value of each channel to `channelZero`, greatest to `channelScale`. */
function channelRanges(numTokens: i32, d: i32): void {
  const rowBytes = <usize>d << 2;
  const end = tileK + <usize>numTokens * rowBytes;
  for (let c: usize = 0; c < rowBytes; c += 16) {
    let lo = v128.load(tileK + c);
    let hi = lo;
    for (let x = tileK + c + rowBytes; x < end; x += rowBytes) {
      lo = f32x4.min(lo, v128.load(x));
      hi = f32x4.max(hi, v128.load(x));
    }
    v128.store(channelZero + c, lo);
    v128.store(channelScale + c, hi);
  }
}

/**
 * Steps 5 and 6 for `count` rows: `zero` holds their least values and `scale` their greatest; both become what is decoded from the bytes.
 * The header at `header` takes s, then z.
 */
function finishMeta(
  zero: usize,
  scale: usize,
  count: i32,
  bits: i32,
  header: usize,
  scaleBytes: usize,
  zeroBytes: usize,
): void {
  encodeMeta(zero, count, false, header + 8, zeroBytes);
  const maxCode = f32x4.splat(<f32>((1 << bits) - 1));
  for (let i: usize = 0; i < <usize>count << 2; i += 16) {
    v128.store(scale + i, f32x4.div(f32x4.sub(v128.load(scale + i), v128.load(zero + i)), maxCode));
  }
  encodeMeta(scale, count, true, header, scaleBytes);
}

/** Values to bytes, rounded up or down to whole steps above the least; then the values become the decoded ones. */
function encodeMeta(values: usize, count: i32, up: bool, header: usize, bytes: usize): void {
  let least = v128.load(values);
  let greatest = least;
  for (let i: usize = 16; i < <usize>count << 2; i += 16) {
    least = f32x4.min(least, v128.load(values + i));
    greatest = f32x4.max(greatest, v128.load(values + i));
  }
  const lo = minLanes(least);
  const step: f32 = (maxLanes(greatest) - lo) / 255;
  store<f32>(header, lo);
  store<f32>(header + 4, step);
  for (let i = 0; i < count; i++) {
    let code: f32 = 0;
    if (step != 0) {
      const steps: f32 = (load<f32>(values + (<usize>i << 2)) - lo) / step;
      code = min<f32>(255, up ? ceil<f32>(steps) : trunc<f32>(steps));
    }
    store<u8>(bytes + <usize>i, <u8>code);
  }
  decodeMeta(bytes, header, count, values);
}

/** Step 7's reciprocal: 0 where the scale is 0. */
function invert4(address: usize): void {
  const s = v128.load(address);
  const inverse = f32x4.div(f32x4.splat(1), s);
  v128.store(address, v128.and(inverse, f32x4.ne(s, f32x4.splat(0))));
}

// @ts-ignore: decorator
@inline
function code4(y: v128, zero: v128, inverse: v128, maxCode: v128): v128 {
  const steps = f32x4.add(f32x4.mul(f32x4.sub(y, zero), inverse), f32x4.splat(0.5));
  return i32x4.trunc_sat_f32x4_s(f32x4.max(f32x4.min(steps, maxCode), f32x4.splat(0)));
}

/** Rows are tokens. */
function packKeyRows(numTokens: i32, d: i32, bits: i32, plane0: usize, plane1: usize): void {
  const row = scores;
  const padded = (d + 31) & ~31;
  const stride0 = <usize>((padded * plane0Width(bits)) >> 3), stride1 = <usize>((padded * plane1Width(bits)) >> 3);
  const maxCode = f32x4.splat(<f32>((1 << bits) - 1));
  if (padded > d) v128.store(row + <usize>d, i32x4.splat(0));
  for (let t: usize = 0; t < <usize>numTokens; t++) {
    const x = tileK + ((t * <usize>d) << 2);
    for (let c: usize = 0; c < <usize>d << 2; c += 16) {
      v128.store(x + c, code4(v128.load(x + c), v128.load(channelZero + c), v128.load(channelScale + c), maxCode));
    }
    for (let c: usize = 0; c < <usize>d; c += 16) v128.store(row + c, narrow16(x + (c << 2)));
    packRow(row, padded, bits, plane0 + t * stride0, plane1 + t * stride1);
  }
}

// @ts-ignore: decorator
@inline
function narrow16(address: usize): v128 {
  return i8x16.narrow_i16x8_u(
    i16x8.narrow_i32x4_s(v128.load(address), v128.load(address, 16)),
    i16x8.narrow_i32x4_s(v128.load(address, 32), v128.load(address, 48)),
  );
}

function sealValues(v: usize, numTokens: i32, d: i32, bits: i32, meta: usize, plane0: usize, plane1: usize): void {
  const rowBytes = <usize>d << 2;
  for (let t = 0; t < numTokens; t++) {
    const x = tileV + <usize>t * rowBytes;
    let lo = loadF16x4(v + <usize>(t * d * 2));
    let hi = lo;
    for (let c: usize = 0; c < <usize>d; c += 4) {
      const values = loadF16x4(v + <usize>(t * d * 2) + (c << 1));
      v128.store(x + (c << 2), values);
      lo = f32x4.min(lo, values);
      hi = f32x4.max(hi, values);
    }
    store<f32>(tokenZero + (<usize>t << 2), minLanes(lo));
    store<f32>(tokenScale + (<usize>t << 2), maxLanes(hi));
  }
  const bytes = meta + V_META_HEADER;
  finishMeta(tokenZero, tokenScale, numTokens, bits, meta, bytes, bytes + <usize>numTokens);
  for (let t: usize = 0; t < <usize>numTokens << 2; t += 16) invert4(tokenScale + t);
  valueCodes(numTokens, d, bits);
  packValueRows(numTokens, d, bits, plane0, plane1);
}

function valueCodes(numTokens: i32, d: i32, bits: i32): void {
  const maxCode = f32x4.splat(<f32>((1 << bits) - 1));
  for (let t = 0; t < numTokens; t++) {
    const x = tileV + (<usize>(t * d) << 2);
    const zero = v128.load32_splat(tokenZero + (<usize>t << 2));
    const inverse = v128.load32_splat(tokenScale + (<usize>t << 2));
    for (let c: usize = 0; c < <usize>d << 2; c += 16) {
      v128.store(x + c, code4(v128.load(x + c), zero, inverse, maxCode));
    }
  }
}

/** V's rows are channels: gathered from the tokens, then packed. */
function packValueRows(numTokens: i32, d: i32, bits: i32, plane0: usize, plane1: usize): void {
  const row = scores;
  const stride0 = <usize>((numTokens * plane0Width(bits)) >> 3), stride1 = <usize>((numTokens * plane1Width(bits)) >> 3);
  for (let c: usize = 0; c < <usize>d; c++) {
    let x = tileV + (c << 2);
    for (let t: usize = 0; t < <usize>numTokens; t++) {
      store<u8>(row + t, <u8>load<i32>(x));
      x += <usize>d << 2;
    }
    packRow(row, numTokens, bits, plane0 + c * stride0, plane1 + c * stride1);
  }
}
