import { accumulateF16Page } from './attend-f16-values';
import { scoreF16Page, scoreSealedPage } from './attend-scores';
import { accumulateSealedPage, softmaxF16Page } from './attend-values';
import {
  ATTN_HEAD_DIM,
  ATTN_NUM_HEADS,
  ATTN_NUM_KV_HEADS,
  ATTN_PAGE_TOKENS,
  ATTN_ROTATE_V,
  ATTN_SINK_TOKENS,
  ATTN_SPLIT_PAGES,
  COMMAND_ARGUMENTS,
  LAYER_K_BITS,
  LAYER_TRANSFORM_OUT,
  LAYER_V_BITS,
  ROW_BYTES,
  ROW_SEGMENT,
  SEGMENT_FIRST_PART,
  SEGMENT_FIRST_POSITION,
  SEGMENT_FIRST_ROW,
  SEGMENT_NUM_PARTS,
  SEGMENT_NUM_SEALED,
  SEGMENT_OPEN_PAGE,
  SEGMENT_PARAMETERS,
  SEGMENT_SEALED_LIST,
  SEGMENT_SINK_PAGE,
  UNIT_BYTES,
  UNIT_END_SPLIT,
  UNIT_F16,
  UNIT_FIRST_ROW,
  UNIT_FIRST_SPLIT,
  UNIT_KV_HEAD,
  UNIT_NUM_ROWS,
  UNIT_PART,
  UNIT_SEGMENT,
} from './commands';
import { quantizedRowBytes, quantizeRow } from './row-quantize';
import { exp1NotAbove0, fill16, madd } from './simd';
import { keyMeta, keyPlane0, keyPlane1, layerRecord, valueMeta, valuePlane0, valuePlane1 } from './tile-address';
import { transformHead } from './transform-head';
import {
  EMPTY_MAXIMUM,
  layScratch,
  part,
  QUERY_BYTES,
  QUERY_COUNT,
  scalars,
  scores,
  STATE_SUM,
  STATE_VALUES,
  stateBytes,
  total,
} from './tile-scratch';

/**
 * Attention over pages, with an online softmax (arXiv 1805.02867) in parts: every `splitPages` sealed pages are one part, the sink
 * page and the own page the last one. Within a part pages follow in order, and parts are merged in order, wherever they were
 * computed; so the bits of a row depend on its position alone, and not on how the work was cut into units.
 *
 * The work item is a unit: some rows, one KV head with its query heads, some parts. Arguments: layer, units, q, partial results.
 */
export function attendUnits(command: usize, begin: i32, end: i32, scratch: usize): void {
  const args = command + COMMAND_ARGUMENTS;
  const layer = load<i32>(args);
  for (let i = begin; i < end; i++) {
    const unit = <usize>load<u32>(args, 4) + <usize>(i * UNIT_BYTES);
    const params = <usize>load<u32>(<usize>load<u32>(unit, UNIT_SEGMENT), SEGMENT_PARAMETERS);
    layScratch(scratch, params);
    attendUnit(params, layer, unit, <usize>load<u32>(args, 8), <usize>load<u32>(args, 12));
  }
}

function attendUnit(params: usize, layer: i32, unit: usize, q: usize, partials: usize): void {
  const segment = <usize>load<u32>(unit, UNIT_SEGMENT);
  const head = load<i32>(unit, UNIT_KV_HEAD);
  const d = load<i32>(params, ATTN_HEAD_DIM);
  const numHeads = load<i32>(params, ATTN_NUM_HEADS);
  const numKvHeads = load<i32>(params, ATTN_NUM_KV_HEADS);
  const group = numHeads / numKvHeads;
  const numQueries = load<i32>(unit, UNIT_NUM_ROWS) * group;
  const rowBytes = <usize>(numHeads * d) << 2;
  const queries = q + <usize>load<i32>(unit, UNIT_FIRST_ROW) * rowBytes + (<usize>(head * group * d) << 2);
  const splitPages = load<i32>(params, ATTN_SPLIT_PAGES);
  const numSealed = load<i32>(segment, SEGMENT_NUM_SEALED);
  const record = layerRecord(params, layer);
  clearStates(total, numQueries, d);
  for (let split = load<i32>(unit, UNIT_FIRST_SPLIT); split < load<i32>(unit, UNIT_END_SPLIT); split++) {
    clearStates(part, numQueries, d);
    const endPage = min((split + 1) * splitPages, numSealed);
    for (let page = split * splitPages; page < endPage; page++) {
      const address = <usize>load<u32>(<usize>load<u32>(segment, SEGMENT_SEALED_LIST) + (<usize>page << 2));
      sealedPage(params, record, address, head, queries, rowBytes, group, numQueries);
    }
    mergeStates(total, part, numQueries, d);
  }
  if (load<i32>(unit, UNIT_F16)) {
    clearStates(part, numQueries, d);
    f16Pages(params, segment, unit, layer * numKvHeads + head, queries, rowBytes, group, numQueries);
    mergeStates(total, part, numQueries, d);
  }
  storePartials(segment, unit, partials, d, numHeads, head * group, group, numQueries);
}

function sealedPage(
  params: usize,
  layer: usize,
  page: usize,
  head: i32,
  queries: usize,
  rowBytes: usize,
  group: i32,
  numQueries: i32,
): void {
  const d = load<i32>(params, ATTN_HEAD_DIM);
  const numTokens = load<i32>(params, ATTN_PAGE_TOKENS);
  const kBits = load<i32>(layer, LAYER_K_BITS);
  const vBits = load<i32>(layer, LAYER_V_BITS);
  const k0 = keyPlane0(layer, page, head);
  const v0 = valuePlane0(layer, page, head);
  if (kBits == 16) {
    scoreF16Page(k0, d, numTokens, queries, rowBytes, group, numQueries);
  } else {
    const meta = keyMeta(layer, page, head);
    const k1 = keyPlane1(layer, page, head);
    scoreSealedPage(kBits, meta, k0, k1, d, numTokens, queries, rowBytes, group, numQueries);
  }
  if (vBits == 16) {
    setCounts(numQueries, numTokens);
    softmaxF16Page(numTokens, numQueries, d);
    accumulateF16Page(v0, d, numTokens, numQueries);
  } else {
    const v1 = valuePlane1(layer, page, head);
    accumulateSealedPage(vBits, valueMeta(layer, page, head), v0, v1, d, numTokens, numQueries);
  }
}

/** The sink page, as far as the row's own position, then the own page. */
function f16Pages(
  params: usize,
  segment: usize,
  unit: usize,
  tile: i32,
  queries: usize,
  rowBytes: usize,
  group: i32,
  numQueries: i32,
): void {
  const numSinks = load<i32>(params, ATTN_SINK_TOKENS);
  const pageTokens = load<i32>(params, ATTN_PAGE_TOKENS);
  const position =
    load<i32>(segment, SEGMENT_FIRST_POSITION) + load<i32>(unit, UNIT_FIRST_ROW) - load<i32>(segment, SEGMENT_FIRST_ROW);
  if (numSinks > 0) {
    const page = <usize>load<u32>(segment, SEGMENT_SINK_PAGE);
    f16Page(params, page, numSinks, position + 1, tile, queries, rowBytes, group, numQueries);
  }
  const start = numSinks + load<i32>(segment, SEGMENT_NUM_SEALED) * pageTokens;
  const page = <usize>load<u32>(segment, SEGMENT_OPEN_PAGE);
  f16Page(params, page, pageTokens, position + 1 - start, tile, queries, rowBytes, group, numQueries);
}

/** `visible`: tokens of the page that the unit's first row sees; each later row sees one more. */
function f16Page(
  params: usize,
  page: usize,
  pageTokens: i32,
  visible: i32,
  tile: i32,
  queries: usize,
  rowBytes: usize,
  group: i32,
  numQueries: i32,
): void {
  const d = load<i32>(params, ATTN_HEAD_DIM);
  let most = 0;
  for (let i = 0; i < numQueries; i++) {
    const count = max(0, min(pageTokens, visible + i / group));
    store<i32>(scalars + <usize>i * QUERY_BYTES + QUERY_COUNT, count);
    most = max(most, count);
  }
  if (most == 0) return;
  const tileBytes = <usize>(pageTokens * d) << 1;
  const k = page + <usize>tile * 2 * tileBytes;
  scoreF16Page(k, d, most, queries, rowBytes, group, numQueries);
  softmaxF16Page(most, numQueries, d);
  accumulateF16Page(k + tileBytes, d, most, numQueries);
}

function setCounts(numQueries: i32, count: i32): void {
  for (let i = 0; i < numQueries; i++) store<i32>(scalars + <usize>i * QUERY_BYTES + QUERY_COUNT, count);
}

function clearStates(states: usize, numQueries: i32, d: i32): void {
  for (let i = 0; i < numQueries; i++) {
    const state = states + <usize>i * stateBytes(d);
    // The engine's own fill and copy are calls.
    fill16(state, i32x4.splat(0), stateBytes(d));
    store<f32>(state, EMPTY_MAXIMUM);
  }
}

function mergeStates(into: usize, from: usize, numQueries: i32, d: i32): void {
  for (let i = 0; i < numQueries; i++) {
    mergeState(into + <usize>i * stateBytes(d), from + <usize>i * stateBytes(d), d);
  }
}

/** Merging into an empty state gives the other state to the bit, since e^0 is exactly 1. */
function mergeState(into: usize, from: usize, d: i32): void {
  const a = load<f32>(into);
  const b = load<f32>(from);
  const m = max(a, b);
  const scaleA = exp1NotAbove0(a - m);
  const scaleB = exp1NotAbove0(b - m);
  store<f32>(into, m);
  store<f32>(into + STATE_SUM, load<f32>(into + STATE_SUM) * scaleA + load<f32>(from + STATE_SUM) * scaleB);
  const va = f32x4.splat(scaleA);
  const vb = f32x4.splat(scaleB);
  for (let c: usize = STATE_VALUES; c < stateBytes(d); c += 16) {
    v128.store(into + c, madd(v128.load(from + c), vb, f32x4.mul(v128.load(into + c), va)));
  }
}

/** Partial results lie as [row's part, query head] states. */
function storePartials(
  segment: usize,
  unit: usize,
  partials: usize,
  d: i32,
  numHeads: i32,
  firstHead: i32,
  group: i32,
  numQueries: i32,
): void {
  const numParts = load<i32>(segment, SEGMENT_NUM_PARTS);
  const firstRow = load<i32>(unit, UNIT_FIRST_ROW) - load<i32>(segment, SEGMENT_FIRST_ROW);
  for (let i = 0; i < numQueries; i++) {
    const index =
      load<i32>(segment, SEGMENT_FIRST_PART) + (firstRow + i / group) * numParts + load<i32>(unit, UNIT_PART);
    const target = partials + <usize>(index * numHeads + firstHead + (i % group)) * stateBytes(d);
    const state = total + <usize>i * stateBytes(d);
    for (let c: usize = 0; c < stateBytes(d); c += 16) v128.store(target + c, v128.load(state + c));
  }
}

/**
 * Merges a row's partial results, divides by the softmax sum and undoes V's rotation or transform. The work item is a row.
 * Arguments: layer, rows, partial results, out as float32, out quantized (0: none).
 */
export function mergeRows(command: usize, begin: i32, end: i32, scratch: usize): void {
  const args = command + COMMAND_ARGUMENTS;
  const layer = load<i32>(args);
  const quantized = <usize>load<u32>(args, 16);
  for (let row = begin; row < end; row++) {
    const segment = <usize>load<u32>(<usize>load<u32>(args, 4) + <usize>(row * ROW_BYTES), ROW_SEGMENT);
    const params = <usize>load<u32>(segment, SEGMENT_PARAMETERS);
    layScratch(scratch, params);
    const d = load<i32>(params, ATTN_HEAD_DIM);
    const numHeads = load<i32>(params, ATTN_NUM_HEADS);
    const group = numHeads / load<i32>(params, ATTN_NUM_KV_HEADS);
    const rotateV = load<i32>(params, ATTN_ROTATE_V) != 0;
    const matrices = <usize>load<u32>(layerRecord(params, layer), LAYER_TRANSFORM_OUT);
    const width = numHeads * d;
    const numParts = load<i32>(segment, SEGMENT_NUM_PARTS);
    const first = load<i32>(segment, SEGMENT_FIRST_PART) + (row - load<i32>(segment, SEGMENT_FIRST_ROW)) * numParts;
    const out = <usize>load<u32>(args, 12) + (<usize>(row * width) << 2);
    for (let head = 0; head < numHeads; head++) {
      clearStates(total, 1, d);
      for (let p = 0; p < numParts; p++) {
        const state = <usize>load<u32>(args, 8) + <usize>((first + p) * numHeads + head) * stateBytes(d);
        mergeState(total, state, d);
      }
      const target = out + (<usize>(head * d) << 2);
      const reciprocal = f32x4.splat(1 / load<f32>(total + STATE_SUM));
      for (let c: usize = 0; c < <usize>d << 2; c += 16) {
        v128.store(target + c, f32x4.mul(v128.load(total + STATE_VALUES + c), reciprocal));
      }
      transformHead(target, d, matrices, head / group, rotateV, scores);
    }
    if (quantized) quantizeRow(out, quantized + <usize>row * <usize>quantizedRowBytes(width), width);
  }
}
