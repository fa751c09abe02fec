import type { PageLayout, TileParts } from '../../cache/page-layout.ts';
import {
  ATTN_BYTES,
  ATTN_HEAD_DIM,
  ATTN_LAYERS,
  ATTN_NUM_HEADS,
  ATTN_NUM_KV_HEADS,
  ATTN_PAGE_TOKENS,
  ATTN_ROPE_DIM,
  ATTN_ROTATE_K,
  ATTN_ROTATE_V,
  ATTN_SINK_TOKENS,
  ATTN_SPLIT_PAGES,
  LAYER_BYTES,
  LAYER_FEEDBACK,
  LAYER_K_BITS,
  LAYER_META,
  LAYER_PLANE0,
  LAYER_PLANE1,
  LAYER_TRANSFORM_K,
  LAYER_TRANSFORM_OUT,
  LAYER_TRANSFORM_Q,
  LAYER_TRANSFORM_V,
  LAYER_V_BITS,
  PART_OFFSET,
  PART_STRIDE,
  PART_V,
} from './assembly/commands.ts';
import type { HeadTransforms } from '../../quant/head-transform.ts';
import type { KvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Writes what attention needs to know of the format and the page layout. Returns the block's address. */
export function writeAttentionParameters(
  memory: SharedMemory,
  { shape, numHeads, format, ropeFrequencies }: KernelsConfig,
  layout: PageLayout,
  splitPages: number,
): number {
  const address = memory.allocate(ATTN_BYTES, 'the parameters of attention');
  writeFields(memory, address, ATTN_BYTES, [
    [ATTN_HEAD_DIM, shape.headDim],
    [ATTN_NUM_HEADS, numHeads],
    [ATTN_NUM_KV_HEADS, shape.numKvHeads],
    [ATTN_PAGE_TOKENS, format.pageSize],
    [ATTN_SINK_TOKENS, format.numSinkTokens],
    [ATTN_LAYERS, writeLayers(memory, layout, format)],
    [ATTN_ROPE_DIM, 2 * ropeFrequencies.length],
    [ATTN_ROTATE_K, format.k.rotate ? 1 : 0],
    [ATTN_ROTATE_V, format.v.rotate ? 1 : 0],
    [ATTN_SPLIT_PAGES, splitPages],
  ]);
  return address;
}

function writeLayers(memory: SharedMemory, { layers, shape }: PageLayout, { k, v }: KvFormat): number {
  const address = memory.allocate(layers.length * LAYER_BYTES, 'the parameters of attention');
  const matrices: readonly Field[] = [
    [LAYER_TRANSFORM_K, writeByColumns(memory, k.transforms, 'forward')],
    [LAYER_TRANSFORM_Q, writeMatrices(memory, k.transforms?.inverse)],
    [LAYER_TRANSFORM_V, writeByColumns(memory, v.transforms, 'forward')],
    [LAYER_TRANSFORM_OUT, writeByColumns(memory, v.transforms, 'inverse')],
    [LAYER_FEEDBACK, writeMatrices(memory, k.feedback)],
  ];
  const layerBytes = shape.numKvHeads * shape.headDim ** 2 * 4;
  layers.forEach(({ kBits, vBits, meta, planes }, layer) => {
    writeFields(memory, address + layer * LAYER_BYTES, LAYER_BYTES, [
      [LAYER_K_BITS, kBits],
      [LAYER_V_BITS, vBits],
      ...partFields(LAYER_META, meta),
      ...partFields(LAYER_PLANE0, planes[0]),
      ...partFields(LAYER_PLANE1, planes[1]),
      ...matrices.map(([field, first]): Field => [field, first && first + layer * layerBytes]),
    ]);
  });
  return address;
}

/** Matrices by columns; 0 where there are none. */
function writeByColumns(
  memory: SharedMemory,
  transforms: HeadTransforms | undefined,
  which: 'forward' | 'inverse',
): number {
  if (!transforms) return 0;
  const { headDim, [which]: matrices } = transforms;
  const address = memory.allocate(matrices.byteLength, 'the transforms of heads');
  const floats = memory.floats(address, matrices.length);
  matrices.forEach((value, i) => {
    const inMatrix = i % headDim ** 2;
    const [row, col] = [Math.floor(inMatrix / headDim), inMatrix % headDim];
    floats[i - inMatrix + col * headDim + row] = value;
  });
  return address;
}

/**
 * Matrices as they are; 0 where there are none. (Queries take the transposed inverses of K's transforms, whose columns are the rows of the
 * inverses.)
 */
function writeMatrices(memory: SharedMemory, matrices: Float32Array | undefined): number {
  if (!matrices) return 0;
  const address = memory.allocate(matrices.byteLength, 'the transforms of heads');
  memory.floats(address, matrices.length).set(matrices);
  return address;
}

type Field = readonly [offsetBytes: number, value: number];

function partFields(part: number, { offsetBytes, strideBytes, vOffsetBytes }: TileParts): Field[] {
  return [
    [part + PART_OFFSET, offsetBytes],
    [part + PART_STRIDE, strideBytes],
    [part + PART_V, vOffsetBytes],
  ];
}

function writeFields(memory: SharedMemory, address: number, numBytes: number, fields: readonly Field[]): void {
  const words = memory.words(address, numBytes / 4);
  for (const [offsetBytes, value] of fields) words[offsetBytes / 4] = value;
}
