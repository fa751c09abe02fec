import { sealedPageLayout, type TileParts } from '../../cache/page-layout.ts';
import { tileBits, type KvFormat, type TileBits } from '../../quant/kv-format.ts';
import { KvantError } from '../../errors.ts';
import { checkFormat } from '../check-operands.ts';
import type { KernelsConfig } from '../kernels.ts';
import { MAX_FORMATS } from './step-buffer.ts';
import { GPUBufferUsageFlags, type GpuDevice, type GpuRange } from './gpu-device.ts';
import type { LayerGroups } from './layer-groups.ts';

/** What shaders need of a format beside its widths. */
export interface GpuFormat {
  readonly slot: number;
  /** Of each layer: bits of the codes of K and V. */
  readonly bits: readonly { readonly k: TileBits; readonly v: TileBits }[];
  /** Of each layer: what q, k and v are multiplied by; undefined without transforms. */
  readonly storeMatrices: readonly GpuRange[] | undefined;
  /** Of each layer: what the output of attention is multiplied by. */
  readonly outputMatrices: readonly GpuRange[] | undefined;
  readonly feedback: readonly GpuRange[] | undefined;
}

const PURPOSE = 'the parameters of attention';
/** Uniforms start at multiples of this on every device. */
export const LAYER_BYTES = 256;
const LAYER_WORDS = LAYER_BYTES / 4;
/** Bytes of the shaders' `Layer`. */
const LAYER_SIZE = 48;

export class GpuFormats {
  readonly #gpu: GpuDevice;
  readonly #config: KernelsConfig;
  readonly #formats = new Map<KvFormat, GpuFormat>();
  readonly #known = new Set<KvFormat>();
  /** Of each format, by the layers of a group: of each layer, where tiles lie in a page. */
  readonly #layers = new Map<KvFormat, Map<number, readonly GpuRange[]>>();

  /** Adds the format of `config`. */
  constructor(gpu: GpuDevice, config: KernelsConfig) {
    this.#gpu = gpu;
    this.#config = config;
    this.add(config.format);
  }

  get known(): ReadonlySet<KvFormat> {
    return this.#known;
  }

  /** Nothing if it is known. @throws RangeError if it does not fit the model, KvantError OUT_OF_MEMORY */
  add(format: KvFormat): void {
    if (this.#formats.has(format)) return;
    checkFormat(format, this.#config);
    if (this.#formats.size === MAX_FORMATS) {
      const message = `${format.name} is one KV format more than the ${MAX_FORMATS} that the webgpu backend keeps apart: load the model again`;
      throw new KvantError('OUT_OF_MEMORY', message);
    }
    const { k, v } = format;
    this.#formats.set(format, {
      slot: this.#formats.size,
      bits: Array.from({ length: this.#config.shape.numLayers }, (_, layer) => {
        return { k: tileBits(format, 'k', layer), v: tileBits(format, 'v', layer) };
      }),
      storeMatrices: this.#writeStoreMatrices(format),
      outputMatrices: this.#writeMatrices(v.transforms && [v.transforms.inverse]),
      feedback: this.#writeMatrices(k.feedback && [k.feedback]),
    });
    this.#known.add(format);
  }

  /** @throws RangeError if it has not been added */
  get(format: KvFormat): GpuFormat {
    const known = this.#formats.get(format);
    if (!known) throw new RangeError(`the format ${format.name} has not been added`);
    return known;
  }

  /** Where a layer's tiles lie in what its group has of a page. */
  layer(format: KvFormat, groups: LayerGroups, layer: number): GpuRange {
    let known = this.#layers.get(format);
    if (!known) this.#layers.set(format, (known = new Map<number, readonly GpuRange[]>()));
    let ranges = known.get(groups.layersPerGroup);
    if (!ranges) known.set(groups.layersPerGroup, (ranges = this.#writeLayers(format, groups)));
    return ranges[layer];
  }

  #writeLayers(format: KvFormat, groups: LayerGroups): GpuRange[] {
    const layouts = groups.layoutsOf(sealedPageLayout(format, this.#config.shape));
    const layers = layouts.flatMap((layout) => layout.layers.map((tiles, indexInGroup) => ({ tiles, indexInGroup })));
    const range = this.#gpu.allocate(layers.length * LAYER_BYTES, PURPOSE, GPUBufferUsageFlags.uniform);
    const words = new Uint32Array(layers.length * LAYER_WORDS);
    layers.forEach(({ tiles: { meta, planes }, indexInGroup }, layer) => {
      const fields = [...partWords(meta), indexInGroup, ...partWords(planes[0]), 0, ...partWords(planes[1]), 0];
      words.set(fields, layer * LAYER_WORDS);
    });
    this.#gpu.write(range, words);
    return layers.map((_, layer) => this.#gpu.range(range.buffer, layer * LAYER_BYTES, LAYER_SIZE));
  }

  /** Matrices of q, k and v, one layer after the other; the identity where only one side has any is never read. */
  #writeStoreMatrices({ k, v }: KvFormat): GpuRange[] | undefined {
    const any = k.transforms ?? v.transforms;
    if (!any) return undefined;
    const unused = new Float32Array(any.forward.length);
    const { headDim } = this.#config.shape;
    const queries = k.transforms && transposed(k.transforms.inverse, headDim);
    return this.#writeMatrices([queries, k.transforms?.forward, v.transforms?.forward].map((list) => list ?? unused));
  }

  /** Several lists, each [layers, heads, d, d], put together layer by layer. */
  #writeMatrices(lists: readonly Float32Array[] | undefined): GpuRange[] | undefined {
    if (!lists) return undefined;
    const { numLayers } = this.#config.shape;
    const layerLength = lists[0].length / numLayers;
    const layerBytes = layerLength * lists.length * 4;
    const range = this.#gpu.allocate(numLayers * layerBytes, 'the transforms of heads');
    return Array.from({ length: numLayers }, (_, layer) => {
      lists.forEach((list, index) => {
        const values = list.subarray(layer * layerLength, (layer + 1) * layerLength);
        this.#gpu.write(range, values, layer * layerBytes + index * layerLength * 4);
      });
      return this.#gpu.range(range.buffer, layer * layerBytes, layerBytes);
    });
  }
}

function partWords({ offsetBytes, strideBytes, vOffsetBytes }: TileParts): number[] {
  return [offsetBytes / 4, strideBytes / 4, vOffsetBytes / 4];
}

function transposed(matrices: Float32Array, d: number): Float32Array {
  return matrices.map((_, i) => {
    const inMatrix = i % (d * d);
    return matrices[i - inMatrix + (inMatrix % d) * d + Math.floor(inMatrix / d)];
  });
}
