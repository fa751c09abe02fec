import type { PageLayout } from '../../cache/page-layout.ts';
import {
  ATTN_BYTES,
  ATTN_HEAD_DIM,
  ATTN_K_BITS,
  ATTN_META_STRIDE,
  ATTN_META_V,
  ATTN_NUM_HEADS,
  ATTN_NUM_KV_HEADS,
  ATTN_PAGE_TOKENS,
  ATTN_PLANE0,
  ATTN_PLANE0_STRIDE,
  ATTN_PLANE0_V,
  ATTN_PLANE1,
  ATTN_PLANE1_STRIDE,
  ATTN_PLANE1_V,
  ATTN_ROPE_DIM,
  ATTN_ROTATE_K,
  ATTN_ROTATE_V,
  ATTN_SINK_TOKENS,
  ATTN_SPLIT_PAGES,
  ATTN_V_BITS,
} from './assembly/commands.ts';
import type { KernelsConfig } from '../kernels.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Writes what attention needs to know of the format and the page layout. Returns the block's address. */
export function writeAttentionParameters(
  memory: SharedMemory,
  { shape, numHeads, format, ropeFrequencies }: KernelsConfig,
  { meta, planes }: PageLayout,
  splitPages: number,
): number {
  const address = memory.allocate(ATTN_BYTES, 'the parameters of attention');
  const words = memory.words(address, ATTN_BYTES / 4);
  const fields: readonly (readonly [number, number])[] = [
    [ATTN_HEAD_DIM, shape.headDim],
    [ATTN_NUM_HEADS, numHeads],
    [ATTN_NUM_KV_HEADS, shape.numKvHeads],
    [ATTN_PAGE_TOKENS, format.pageSize],
    [ATTN_SINK_TOKENS, format.numSinkTokens],
    [ATTN_K_BITS, format.k.bits],
    [ATTN_V_BITS, format.v.bits],
    [ATTN_META_STRIDE, meta.strideBytes],
    [ATTN_META_V, meta.vOffsetBytes],
    [ATTN_PLANE0, planes[0].offsetBytes],
    [ATTN_PLANE0_STRIDE, planes[0].strideBytes],
    [ATTN_PLANE0_V, planes[0].vOffsetBytes],
    [ATTN_PLANE1, planes[1]?.offsetBytes ?? 0],
    [ATTN_PLANE1_STRIDE, planes[1]?.strideBytes ?? 0],
    [ATTN_PLANE1_V, planes[1]?.vOffsetBytes ?? 0],
    [ATTN_ROPE_DIM, 2 * ropeFrequencies.length],
    [ATTN_ROTATE_K, format.k.rotate ? 1 : 0],
    [ATTN_ROTATE_V, format.v.rotate ? 1 : 0],
    [ATTN_SPLIT_PAGES, splitPages],
  ];
  for (const [offsetBytes, value] of fields) words[offsetBytes / 4] = value;
  return address;
}
