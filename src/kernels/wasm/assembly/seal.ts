import {
  ATTN_HEAD_DIM,
  ATTN_NUM_KV_HEADS,
  ATTN_PAGE_TOKENS,
  COMMAND_ARGUMENTS,
  LAYER_FEEDBACK,
  LAYER_K_BITS,
  LAYER_V_BITS,
  SEGMENT_OPEN_PAGE,
  SEGMENT_PARAMETERS,
  SEGMENT_SEAL_INTO,
} from './commands';
import { encodeMeta, quantizeRows, UP } from './seal-rows';
import { sumLanes } from './simd';
import { packRow, plane0Width, plane1Width } from './plane-codes';
import { keyMeta, keyPlane0, keyPlane1, layerRecord, valueMeta, valuePlane0, valuePlane1 } from './tile-address';
import { decodeF16 } from './tile-codes';
import {
  channelScale,
  channelZero,
  codes,
  layScratch,
  scores,
  tileK,
  tileV,
  tokenFactor,
  tokenScale,
  tokenZero,
} from './tile-scratch';

/**
 * Sealing: the steps of docs/page-format.md. Steps 1 to 4 are here, what follows in seal-rows.ts.
 */

/** Bytes of float32 pairs before the metadata bytes of K (three pairs, 8 bytes of zeros) and V (two pairs). */
export const K_META_HEADER: usize = 32;
export const V_META_HEADER: usize = 16;

/** The work item is (index in the list of segments to seal) * numKvHeads + head. Arguments: layer, list of segments, numKvHeads. */
export function sealTiles(command: usize, begin: i32, end: i32, scratch: usize): void {
  const args = command + COMMAND_ARGUMENTS;
  const layer = load<i32>(args);
  const numKvHeads = load<i32>(args, 8);
  for (let item = begin; item < end; item++) {
    const segment = <usize>load<u32>(<usize>load<u32>(args, 4) + (<usize>(item / numKvHeads) << 2));
    const params = <usize>load<u32>(segment, SEGMENT_PARAMETERS);
    layScratch(scratch, params);
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
  else sealKeys(k, numTokens, d, kBits, feedbackOf(record, head, d), keyMeta(record, sealed, head), k0, keyPlane1(record, sealed, head));
  if (vBits == 16) memory.copy(v0, v, tileBytes);
  else sealValues(v, numTokens, d, vBits, valueMeta(record, sealed, head), v0, valuePlane1(record, sealed, head));
}

/** Address of what the head's channels of K take of each other's errors; 0 without calibration. */
function feedbackOf(layer: usize, head: i32, d: i32): usize {
  const matrices = <usize>load<u32>(layer, LAYER_FEEDBACK);
  return matrices ? matrices + (<usize>(head * d * d) << 2) : 0;
}

function sealKeys(
  k: usize,
  numTokens: i32,
  d: i32,
  bits: i32,
  feedback: usize,
  meta: usize,
  plane0: usize,
  plane1: usize,
): void {
  decodeF16(k, numTokens * d, tileK);
  tokenFactors(numTokens, d);
  const bytes = meta + K_META_HEADER;
  memory.fill(meta, 0, K_META_HEADER);
  encodeMeta(tokenFactor, numTokens, UP, meta, bytes);
  divideTokens(numTokens, d);
  const scaleBytes = bytes + <usize>numTokens, zeroBytes = scaleBytes + <usize>d;
  quantizeRows(true, bits, tileV, d, numTokens, channelScale, channelZero, feedback, tileK, meta + 8, scaleBytes, zeroBytes);
  packColumns(d, numTokens, bits, plane0, plane1);
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

/** Step 4: `tileV` gets the divided keys, a row a channel. */
function divideTokens(numTokens: i32, d: i32): void {
  const rowBytes = <usize>d << 2, columnBytes = <usize>numTokens << 2;
  for (let t: usize = 0; t < <usize>numTokens; t++) {
    const x = tileK + t * rowBytes;
    const target = tileV + (t << 2);
    const reciprocal: f32 = 1 / load<f32>(tokenFactor + (t << 2));
    for (let c: usize = 0; c < <usize>d; c++) {
      store<f32>(target + c * columnBytes, load<f32>(x + (c << 2)) * reciprocal);
    }
  }
}

/** Rows are tokens. */
function sealValues(v: usize, numTokens: i32, d: i32, bits: i32, meta: usize, plane0: usize, plane1: usize): void {
  decodeF16(v, numTokens * d, tileV);
  const bytes = meta + V_META_HEADER;
  quantizeRows(false, bits, tileV, numTokens, d, tokenScale, tokenZero, 0, 0, meta, bytes, bytes + <usize>numTokens);
  packColumns(numTokens, d, bits, plane0, plane1);
}

/** A row of the planes is a column of the rows that were quantized: a token of K, a channel of V. */
function packColumns(numRows: i32, numCols: i32, bits: i32, plane0: usize, plane1: usize): void {
  const row = scores;
  const padded = (numRows + 31) & ~31;
  const stride0 = <usize>((padded * plane0Width(bits)) >> 3), stride1 = <usize>((padded * plane1Width(bits)) >> 3);
  if (padded > numRows) v128.store(row + <usize>numRows, i32x4.splat(0));
  for (let col: usize = 0; col < <usize>numCols; col++) {
    let code = codes + col;
    for (let i: usize = 0; i < <usize>numRows; i++) {
      store<u8>(row + i, load<u8>(code));
      code += <usize>numCols;
    }
    packRow(row, padded, bits, plane0 + col * stride0, plane1 + col * stride1);
  }
}
