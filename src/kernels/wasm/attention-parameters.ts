import { sealedPageLayout, type TileParts } from '../../cache/page-layout.ts';
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
import type { KvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import { HeadMatrices, headMatricesOf, type HeadMatrixList } from './head-matrices.ts';
import type { SharedMemory } from './shared-memory.ts';

const PURPOSE = 'the parameters of attention';

/** What attention needs to know of each format: a block of parameters, and matrices, of which equal ones are there once. */
export class AttentionParameters {
  readonly #memory: SharedMemory;
  readonly #config: KernelsConfig;
  readonly #splitPages: number;
  readonly #blocks = new Map<KvFormat, number>();
  readonly #formats = new Set<KvFormat>();
  readonly #matrices = new HeadMatrices<number>();

  /** Adds the format of `config`. @throws KvantError OUT_OF_MEMORY */
  constructor(memory: SharedMemory, config: KernelsConfig, splitPages: number) {
    this.#memory = memory;
    this.#config = config;
    this.#splitPages = splitPages;
    this.add(config.format);
  }

  get formats(): ReadonlySet<KvFormat> {
    return this.#formats;
  }

  /** Nothing if the format is there. @throws KvantError OUT_OF_MEMORY */
  add(format: KvFormat): void {
    if (this.#formats.has(format)) return;
    const { shape, numHeads, ropeFrequencies } = this.#config;
    const address = this.#memory.allocate(ATTN_BYTES, PURPOSE);
    this.#writeFields(address, ATTN_BYTES, [
      [ATTN_HEAD_DIM, shape.headDim],
      [ATTN_NUM_HEADS, numHeads],
      [ATTN_NUM_KV_HEADS, shape.numKvHeads],
      [ATTN_PAGE_TOKENS, format.pageSize],
      [ATTN_SINK_TOKENS, format.numSinkTokens],
      [ATTN_LAYERS, this.#writeLayers(format)],
      [ATTN_ROPE_DIM, 2 * ropeFrequencies.length],
      [ATTN_ROTATE_K, format.k.rotate ? 1 : 0],
      [ATTN_ROTATE_V, format.v.rotate ? 1 : 0],
      [ATTN_SPLIT_PAGES, this.#splitPages],
    ]);
    this.#blocks.set(format, address);
    this.#formats.add(format);
  }

  /** Of the format's block. @throws RangeError if it has not been added */
  addressOf(format: KvFormat): number {
    const address = this.#blocks.get(format);
    if (address === undefined) throw new RangeError(`the format ${format.name} has not been added`);
    return address;
  }

  #writeLayers(format: KvFormat): number {
    const { layers, shape } = sealedPageLayout(format, this.#config.shape);
    const address = this.#memory.allocate(layers.length * LAYER_BYTES, PURPOSE);
    const { k, q, v, out, feedback } = headMatricesOf(format);
    const matrices: readonly Field[] = [
      [LAYER_TRANSFORM_K, this.#writeMatrices(k)],
      [LAYER_TRANSFORM_Q, this.#writeMatrices(q)],
      [LAYER_TRANSFORM_V, this.#writeMatrices(v)],
      [LAYER_TRANSFORM_OUT, this.#writeMatrices(out)],
      [LAYER_FEEDBACK, this.#writeMatrices(feedback)],
    ];
    const layerBytes = shape.numKvHeads * shape.headDim ** 2 * 4;
    layers.forEach(({ kBits, vBits, meta, planes }, layer) => {
      this.#writeFields(address + layer * LAYER_BYTES, LAYER_BYTES, [
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

  /** Where they are; 0 where there are none. */
  #writeMatrices(matrices: HeadMatrixList | undefined): number {
    if (!matrices) return 0;
    return this.#matrices.find(matrices) ?? this.#matrices.add(matrices, this.#writeNewMatrices(matrices));
  }

  #writeNewMatrices({ values, byColumns }: HeadMatrixList): number {
    const address = this.#memory.allocate(values.byteLength, 'the transforms of heads');
    const floats = this.#memory.floats(address, values.length);
    if (byColumns) transposeEach(values, this.#config.shape.headDim, floats);
    else floats.set(values);
    return address;
  }

  #writeFields(address: number, numBytes: number, fields: readonly Field[]): void {
    const words = this.#memory.words(address, numBytes / 4);
    for (const [offsetBytes, value] of fields) words[offsetBytes / 4] = value;
  }
}

function transposeEach(matrices: Float32Array, headDim: number, into: Float32Array): void {
  matrices.forEach((value, i) => {
    const inMatrix = i % headDim ** 2;
    const [row, col] = [Math.floor(inMatrix / headDim), inMatrix % headDim];
    into[i - inMatrix + col * headDim + row] = value;
  });
}

type Field = readonly [offsetBytes: number, value: number];

function partFields(part: number, { offsetBytes, strideBytes, vOffsetBytes }: TileParts): Field[] {
  return [
    [part + PART_OFFSET, offsetBytes],
    [part + PART_STRIDE, strideBytes],
    [part + PART_V, vOffsetBytes],
  ];
}
