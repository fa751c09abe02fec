import {
  ATTN_HEAD_DIM,
  ATTN_NUM_HEADS,
  ATTN_ROPE_DIM,
  ATTN_ROTATE_K,
  ATTN_ROTATE_V,
  COMMAND_ARGUMENTS,
  LAYER_TRANSFORM_K,
  LAYER_TRANSFORM_Q,
  LAYER_TRANSFORM_V,
  ROW_BYTES,
  ROW_INDEX_IN_PAGE,
  ROW_PAGE,
  ROW_PAGE_TOKENS,
  ROW_SEGMENT,
  SEGMENT_PARAMETERS,
} from './commands';
import { storeF16x4 } from './simd';
import { layerRecord } from './tile-address';
import { transformHead } from './transform-head';

/**
 * RoPE, rotation (or a matrix of the head's own) and storing, for a row and a KV head with its query heads: the work item is row * numKvHeads + head.
 * Arguments: layer, rows, cosines [row, ropeDim / 2], sines, q, k, v, numKvHeads.
 */
export function storeKeysValues(command: usize, begin: i32, end: i32, scratch: usize): void {
  const args = command + COMMAND_ARGUMENTS;
  const layer = load<i32>(args);
  const numKvHeads = load<i32>(args, 28);
  for (let item = begin; item < end; item++) {
    const row = item / numKvHeads;
    const head = item % numKvHeads;
    const r = <usize>load<u32>(args, 4) + <usize>(row * ROW_BYTES);
    const params = <usize>load<u32>(<usize>load<u32>(r, ROW_SEGMENT), SEGMENT_PARAMETERS);
    const d = load<i32>(params, ATTN_HEAD_DIM);
    const numHeads = load<i32>(params, ATTN_NUM_HEADS);
    const ropeDim = load<i32>(params, ATTN_ROPE_DIM);
    const record = layerRecord(params, layer);
    const rotateK = load<i32>(params, ATTN_ROTATE_K) != 0;
    const matricesQ = <usize>load<u32>(record, LAYER_TRANSFORM_Q);
    const group = numHeads / numKvHeads;
    const headBytes = <usize>d << 2;
    const angles = (<usize>row * <usize>ropeDim) << 1;
    const cosines = <usize>load<u32>(args, 8) + angles;
    const sines = <usize>load<u32>(args, 12) + angles;
    for (let i = 0; i < group; i++) {
      const q = <usize>load<u32>(args, 16) + <usize>(row * numHeads + head * group + i) * headBytes;
      applyRope(q, cosines, sines, ropeDim);
      transformHead(q, d, matricesQ, head, rotateK, scratch);
      scaleHead(q, d);
    }
    const k = <usize>load<u32>(args, 20) + <usize>(row * numKvHeads + head) * headBytes;
    const v = <usize>load<u32>(args, 24) + <usize>(row * numKvHeads + head) * headBytes;
    applyRope(k, cosines, sines, ropeDim);
    transformHead(k, d, <usize>load<u32>(record, LAYER_TRANSFORM_K), head, rotateK, scratch);
    transformHead(v, d, <usize>load<u32>(record, LAYER_TRANSFORM_V), head, load<i32>(params, ATTN_ROTATE_V) != 0, scratch);
    const tileBytes = <usize>(load<i32>(r, ROW_PAGE_TOKENS) * d * 2);
    const tile = <usize>load<u32>(r, ROW_PAGE) + <usize>((layer * numKvHeads + head) * 2) * tileBytes;
    const offset = <usize>(load<i32>(r, ROW_INDEX_IN_PAGE) * d * 2);
    storeHead(tile + offset, k, d);
    storeHead(tile + tileBytes + offset, v, d);
  }
}

/** Pairs (i, i + ropeDim / 2) turned by their angle (RoPE, arXiv 2104.09864). */
function applyRope(x: usize, cosines: usize, sines: usize, ropeDim: i32): void {
  const half = <usize>ropeDim << 1;
  let i: usize = 0;
  for (; i + 16 <= half; i += 16) {
    const a = v128.load(x + i), b = v128.load(x + i + half);
    const c = v128.load(cosines + i), s = v128.load(sines + i);
    v128.store(x + i, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(x + i + half, f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c)));
  }
  for (; i < half; i += 4) {
    const a = load<f32>(x + i);
    const b = load<f32>(x + i + half);
    const c = load<f32>(cosines + i);
    const s = load<f32>(sines + i);
    store<f32>(x + i, a * c - b * s);
    store<f32>(x + i + half, a * s + b * c);
  }
}

function scaleHead(x: usize, d: i32): void {
  const scale = f32x4.splat(1 / sqrt<f32>(<f32>d));
  for (let i: usize = 0; i < <usize>d << 2; i += 16) v128.store(x + i, f32x4.mul(v128.load(x + i), scale));
}

function storeHead(target: usize, x: usize, d: i32): void {
  for (let c: usize = 0; c < <usize>d; c += 4) storeF16x4(target + (c << 1), v128.load(x + (c << 2)));
}
