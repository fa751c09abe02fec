import { planeOffsetBytes } from '../cache/page-layout.ts';
import type { Kernels, StepPages } from '../kernels/kernels.ts';
import { createStepPages } from '../kernels/step-pages.ts';
import type { Transformer } from '../model/transformer.ts';
import { f16Value } from '../quant/f16.ts';

/** What attention saw of a text, rotated by position. */
export interface ObservedHeads {
  /** Of a query head, scaled by 1 / sqrt(headDim): [numTokens, headDim]. */
  queries(layer: number, head: number): Float32Array;
  /** Of a KV head: [numTokens, headDim]. */
  keys(layer: number, kvHead: number): Float32Array;
  values(layer: number, kvHead: number): Float32Array;
}

/** Runs a model over texts on an f16 cache, and keeps what goes into attention. */
export class HeadObserver {
  readonly #kernels: Kernels;
  readonly #model: Transformer;
  readonly #pages: StepPages;

  /**
   * @param kernels of format f16
   * @param maxTokens of a text
   */
  constructor(kernels: Kernels, model: Transformer, maxTokens: number) {
    const { format } = kernels.config;
    if (format.name !== 'f16') throw new RangeError(`heads are observed on an f16 cache, not ${format.name}`);
    this.#kernels = kernels;
    this.#model = model;
    this.#pages = createStepPages(kernels, Math.ceil(maxTokens / format.pageSize), 1);
  }

  /**
   * @param tokens whole pages of them
   * @param offset positions by which queries and keys are turned further, as if so much text came before: attention depends on
   *   distances alone, but what lies in a page depends on where it is
   */
  async observe(tokens: readonly number[], offset: number): Promise<ObservedHeads> {
    const { shape, numHeads, format } = this.#kernels.config;
    const { pageSize } = format;
    if (tokens.length % pageSize !== 0)
      throw new RangeError(`${tokens.length} tokens are not whole pages of ${pageSize}`);
    const width = numHeads * shape.headDim;
    const rows = Array.from({ length: shape.numLayers }, () => new Float32Array(tokens.length * width));
    for (let first = 0; first < tokens.length; first += pageSize) {
      const page = first / pageSize;
      const segment = {
        ...{ firstRow: 0, numRows: pageSize, firstPosition: first, openPage: 0, sinkPage: undefined, sealInto: page },
        sealedPages: Array.from({ length: page }, (_, i) => i),
        pages: this.#pages,
      };
      const tokenIds = tokens.slice(first, first + pageSize);
      const step = { tokenIds, segments: [segment], outputRows: [] };
      await this.#model.forward(step, (layer, queryRow) => {
        for (let row = 0; row < pageSize; row++) rows[layer].set(queryRow(row), (first + row) * width);
      });
    }
    const pages = Array.from({ length: tokens.length / pageSize }, (_, page) => this.#pageHalves(page));
    const halves = await Promise.all(pages);
    return {
      queries: (layer, head) => this.#turned(columns(rows[layer], width, head * shape.headDim, shape.headDim), offset),
      keys: (layer, kvHead) => this.#turned(this.#decode(halves, 'k', layer, kvHead), offset),
      values: (layer, kvHead) => this.#decode(halves, 'v', layer, kvHead),
    };
  }

  /** Turns the rotary pairs of every head, in place. */
  #turned(heads: Float32Array, offset: number): Float32Array {
    const { shape, ropeFrequencies } = this.#kernels.config;
    const numPairs = ropeFrequencies.length;
    ropeFrequencies.forEach((frequency, pair) => {
      const [cosine, sine] = [Math.cos(offset * frequency), Math.sin(offset * frequency)];
      for (let at = pair; at < heads.length; at += shape.headDim) {
        const [a, b] = [heads[at], heads[at + numPairs]];
        heads[at] = a * cosine - b * sine;
        heads[at + numPairs] = a * sine + b * cosine;
      }
    });
    return heads;
  }

  async #pageHalves(page: number): Promise<Uint16Array> {
    const bytes = await this.#kernels.readPage(this.#pages.sealed, page);
    return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  }

  #decode(pages: readonly Uint16Array[], kind: 'k' | 'v', layer: number, kvHead: number): Float32Array {
    const { layout } = this.#pages.sealed;
    const length = layout.numTokens * layout.shape.headDim;
    const first = planeOffsetBytes(layout, 0, layer, kvHead, kind) / 2;
    const values = new Float32Array(pages.length * length);
    pages.forEach((halves, page) => {
      for (let i = 0; i < length; i++) values[page * length + i] = f16Value(halves[first + i]);
    });
    return values;
  }
}

/** [numRows, numCols] of a wider matrix. */
function columns(matrix: Float32Array, width: number, first: number, numCols: number): Float32Array {
  const numRows = matrix.length / width;
  const result = new Float32Array(numRows * numCols);
  for (let row = 0; row < numRows; row++) {
    result.set(matrix.subarray(row * width + first, row * width + first + numCols), row * numCols);
  }
  return result;
}
