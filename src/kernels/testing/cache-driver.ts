import { normalStream } from '../../../test/random-data.ts';
import type { Activation, Kernels, Matrix, Operand, Segment, StepPages } from '../kernels.ts';
import { createStepPages } from '../step-pages.ts';
import { f32Tensor } from './tensor-source.ts';

/** Which tokens a step takes: the next `numTokens` of each sequence named. */
export interface Span {
  readonly sequence: number;
  readonly numTokens: number;
}

/** Gives the value of a channel of q, k or v. */
export type Fill = (channel: number, normal: () => number) => number;

export interface CacheDriverOptions {
  readonly numSequences: number;
  /** Tokens that a sequence may have. */
  readonly numTokens: number;
  readonly fill?: Fill;
}

/**
 * Drives the attention of one layer without a model: queries, keys and values of every token are rows of tables that
 * `embed` reads, different for each sequence and position, and the attention's output comes back through an identity
 * matrix.
 */
export class CacheDriver {
  readonly pages: StepPages;
  /** [numSequences * numTokens, width] each. */
  readonly tables: { readonly q: Float32Array; readonly k: Float32Array; readonly v: Float32Array };
  readonly #kernels: Kernels;
  readonly #numTokens: number;
  readonly #positions: number[];
  /** Which set of pages each sequence has. */
  readonly #slots: number[];
  readonly #matrices: { readonly q: Matrix; readonly k: Matrix; readonly v: Matrix; readonly identity: Matrix };
  readonly #buffers: { q: Activation; k: Activation; v: Activation; attended: Operand; out: Activation };

  static async create(kernels: Kernels, options: CacheDriverOptions): Promise<CacheDriver> {
    const { shape, numHeads } = kernels.config;
    const numRows = options.numSequences * options.numTokens;
    const fill = options.fill ?? ((_, normal) => normal());
    const table = (width: number, seed: number): Float32Array => {
      const normal = normalStream(seed);
      return new Float32Array(numRows * width).map((_, i) => fill(i % width, normal));
    };
    const [queryWidth, keyWidth] = [numHeads * shape.headDim, shape.numKvHeads * shape.headDim];
    const tables = { q: table(queryWidth, 1), k: table(keyWidth, 2), v: table(keyWidth, 3) };
    const identity = Array.from({ length: queryWidth ** 2 }, (_, i) => (i % (queryWidth + 1) === 0 ? 1 : 0));
    const load = (rows: number, cols: number, values: ArrayLike<number>): Promise<Matrix> =>
      kernels.loadMatrix(f32Tensor(rows, cols, values), { kind: 'file' });
    const matrices = {
      q: await load(numRows, queryWidth, tables.q),
      k: await load(numRows, keyWidth, tables.k),
      v: await load(numRows, keyWidth, tables.v),
      identity: await load(queryWidth, queryWidth, identity),
    };
    return new CacheDriver(kernels, options, tables, matrices);
  }

  private constructor(
    kernels: Kernels,
    { numSequences, numTokens }: CacheDriverOptions,
    tables: CacheDriver['tables'],
    matrices: { q: Matrix; k: Matrix; v: Matrix; identity: Matrix },
  ) {
    this.#kernels = kernels;
    this.#numTokens = numTokens;
    this.tables = tables;
    this.#matrices = matrices;
    this.#positions = new Array<number>(numSequences).fill(0);
    this.#slots = [...this.#positions.keys()];
    this.#buffers = {
      q: kernels.createActivation(matrices.q.numCols, 'step'),
      k: kernels.createActivation(matrices.k.numCols, 'step'),
      v: kernels.createActivation(matrices.v.numCols, 'step'),
      attended: kernels.createOperand(matrices.q.numCols, 'step'),
      out: kernels.createActivation(matrices.q.numCols, 'step', 'readable'),
    };
    const numSealed = numSequences * Math.ceil(numTokens / kernels.config.format.pageSize);
    this.pages = createStepPages(kernels, numSealed, numSequences);
  }

  /** Pages that the sequence's sealed tokens lie in, in order. */
  sealedPages(sequence: number, numPages: number): number[] {
    const pagesPerSequence = Math.ceil(this.#numTokens / this.#kernels.config.format.pageSize);
    return Array.from({ length: numPages }, (_, i) => this.#slots[sequence] * pagesPerSequence + i);
  }

  /** Gives a sequence the pages that another one had first. */
  takePages(sequence: number, from: number): void {
    this.#slots[sequence] = from;
  }

  /** Continues a sequence from a position, as after its pages have been restored or given up. */
  seek(sequence: number, position: number): void {
    this.#positions[sequence] = position;
  }

  /** Tokens up to the end of the sequence's open page. */
  room(sequence: number): number {
    const { numSinkTokens, pageSize } = this.#kernels.config.format;
    const position = this.#positions[sequence];
    return position < numSinkTokens
      ? numSinkTokens + pageSize - position
      : pageSize - ((position - numSinkTokens) % pageSize);
  }

  /** Runs one step. @returns the attention's output, numHeads * headDim values for each row */
  async step(spans: readonly Span[], layer = 0): Promise<Float32Array[]> {
    const tokenIds: number[] = [];
    const segments = spans.map((span) => {
      const segment = this.#segment(span, tokenIds.length);
      for (let i = 0; i < span.numTokens; i++) {
        tokenIds.push(span.sequence * this.#numTokens + segment.firstPosition + i);
      }
      return segment;
    });
    const { q, k, v, attended, out } = this.#buffers;
    const kernels = this.#kernels;
    kernels.beginStep({ tokenIds, segments, outputRows: [] });
    kernels.embed(this.#matrices.q, q);
    kernels.embed(this.#matrices.k, k);
    kernels.embed(this.#matrices.v, v);
    kernels.storeKeysValues(layer, q, k, v);
    kernels.attend(layer, q, attended);
    kernels.sealTiles(layer);
    kernels.matmul(attended, [{ weights: this.#matrices.identity, out }]);
    await kernels.finishStep();
    for (const { sequence, numTokens } of spans) this.#positions[sequence] += numTokens;
    // A row that was read may be a view, which the next step overwrites.
    return tokenIds.map((_, row) => kernels.readRow(out, row).slice());
  }

  /** Runs a sequence alone to position `end`, in steps of at most `chunk` tokens. */
  async run(sequence: number, end: number, chunk: number, layer = 0): Promise<Float32Array[]> {
    const rows: Float32Array[] = [];
    while (this.#positions[sequence] < end) {
      const numTokens = Math.min(chunk, end - this.#positions[sequence], this.room(sequence));
      rows.push(...(await this.step([{ sequence, numTokens }], layer)));
    }
    return rows;
  }

  #segment({ sequence, numTokens }: Span, firstRow: number): Segment {
    const { numSinkTokens, pageSize } = this.#kernels.config.format;
    const firstPosition = this.#positions[sequence];
    const pageNumber = Math.floor(Math.max(0, firstPosition - numSinkTokens) / pageSize);
    return {
      firstRow,
      numRows: numTokens,
      firstPosition,
      pages: this.pages,
      sealedPages: this.sealedPages(sequence, pageNumber),
      openPage: this.#slots[sequence],
      sinkPage: numSinkTokens === 0 ? undefined : this.#slots[sequence],
      sealInto: numTokens === this.room(sequence) ? this.sealedPages(sequence, pageNumber + 1)[pageNumber] : undefined,
    };
  }
}
