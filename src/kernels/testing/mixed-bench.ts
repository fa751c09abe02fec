import assert from 'node:assert/strict';
import { normalStream } from '../../../test/random-data.ts';
import type { Kernels, Segment, StepPages } from '../kernels.ts';
import { openPageEnd, openPageNumber } from '../step-pages.ts';
import { RowBench, type Input } from './row-bench.ts';

/** Pages of a sequence, all that it may ever need. */
export interface Place {
  readonly pages: StepPages;
  readonly sealed: readonly number[];
  readonly open: number;
  readonly sink: number | undefined;
}

/** Consecutive tokens of a sequence. */
export interface Span {
  readonly sequence: number;
  readonly firstPosition: number;
  readonly numRows: number;
}

/** Runs both layers of attention over random queries, keys and values, which a position of a sequence always has the same. */
export class MixedBench {
  readonly kernels: Kernels;
  readonly #places: readonly (Place | undefined)[];
  readonly #inputs: { readonly q: Input; readonly k: Input; readonly v: Input };
  readonly #rows: RowBench;
  readonly #numTokens: number;

  private constructor(
    rows: RowBench,
    places: readonly (Place | undefined)[],
    numTokens: number,
    inputs: { q: Input; k: Input; v: Input },
  ) {
    this.kernels = rows.kernels;
    this.#numTokens = numTokens;
    this.#rows = rows;
    this.#places = places;
    this.#inputs = inputs;
  }

  /**
   * @param places of each sequence that is run, by its number
   * @param numTokens that a sequence may have
   */
  static async create(
    kernels: Kernels,
    places: readonly (Place | undefined)[],
    numTokens: number,
  ): Promise<MixedBench> {
    const { shape, numHeads } = kernels.config;
    const rows = new RowBench(kernels);
    const input = (width: number, seed: number): Promise<Input> => {
      const normal = normalStream(seed);
      const numRows = places.length * numTokens;
      const row = (): Float32Array => new Float32Array(width).map((_, i) => normal() * (i % 7 === 3 ? 12 : 1));
      return rows.input(Array.from({ length: numRows }, row));
    };
    const [queryWidth, keyWidth] = [numHeads * shape.headDim, shape.numKvHeads * shape.headDim];
    const inputs = { q: await input(queryWidth, 1), k: await input(keyWidth, 2), v: await input(keyWidth, 3) };
    return new MixedBench(rows, places, numTokens, inputs);
  }

  /** @returns for each span and layer, a row of attention for each token */
  async step(spans: readonly Span[]): Promise<Float32Array[][]> {
    const { kernels } = this;
    const { q, k, v } = this.#inputs;
    let firstRow = 0;
    const segments = spans.map((span): Segment => {
      const segment = this.#segment(span, firstRow);
      firstRow += span.numRows;
      return segment;
    });
    const tokenIds = spans.flatMap(({ sequence, firstPosition, numRows }) =>
      Array.from({ length: numRows }, (_, i) => sequence * this.#numTokens + firstPosition + i),
    );
    const layers = Array.from({ length: this.kernels.config.shape.numLayers }, (_, layer) => layer);
    const attended = kernels.createOperand(q.activation.width, 'step');
    const readers = await Promise.all(layers.map(() => this.#rows.reader(q.activation.width)));
    kernels.beginStep({ tokenIds, segments, outputRows: [] });
    for (const layer of layers) {
      for (const { table, activation } of [q, k, v]) kernels.embed(table, activation);
      kernels.storeKeysValues(layer, q.activation, k.activation, v.activation);
      kernels.attend(layer, q.activation, attended);
      kernels.sealTiles(layer);
      kernels.matmul(attended, [readers[layer]]);
    }
    await kernels.finishStep();
    const rows = readers.map(({ out }) => this.#rows.rows(out, tokenIds.length));
    return segments.map(({ firstRow: first, numRows }) => rows.flatMap((layer) => layer.slice(first, first + numRows)));
  }

  /** Bytes of all sealed pages up to a position, and of the sink page. */
  async pageBytes(sequence: number, numTokens: number): Promise<Uint8Array[]> {
    const { pages, sealed, sink } = this.#placeOf(sequence);
    const numSealed = openPageNumber(numTokens, pages.format);
    const reads = sealed.slice(0, numSealed).map((page) => this.kernels.readPage(pages.sealed, page));
    if (pages.sink && sink !== undefined) reads.push(this.kernels.readPage(pages.sink, sink));
    const bytes: Uint8Array[] = [];
    for (const read of reads) bytes.push(await read);
    return bytes;
  }

  #placeOf(sequence: number): Place {
    const place = this.#places[sequence];
    assert.ok(place);
    return place;
  }

  #segment({ sequence, firstPosition, numRows }: Span, firstRow: number): Segment {
    const { pages, sealed, open, sink } = this.#placeOf(sequence);
    const number = openPageNumber(firstPosition, pages.format);
    const isFull = firstPosition + numRows === openPageEnd(firstPosition, pages.format);
    return {
      ...{ firstRow, numRows, firstPosition, pages, openPage: open, sinkPage: sink },
      sealedPages: sealed.slice(0, number),
      sealInto: isFull ? sealed[number] : undefined,
    };
  }
}
