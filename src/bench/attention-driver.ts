import type { Activation, Kernels, Matrix, Operand, Segment, Step, StepPages } from '../kernels/kernels.ts';
import { createStepPages, openPageEnd, openPageNumber } from '../kernels/step-pages.ts';
import type { KernelWork } from './kernel-work.ts';
import { randomTensor } from './random-tensor.ts';

/** Rows of the tables that queries, keys and values are taken from; a prime, so that pages differ. */
const NUM_TABLE_ROWS = 131;

/** Consecutive queries: rows of one segment. */
export interface QueryRows {
  readonly firstPosition: number;
  readonly numRows: number;
  /** Sequences that have them, the first ones; each has a segment. */
  readonly numSequences: number;
}

/** Attention without a model: sequences whose keys and values are random, stored and sealed by the kernels themselves; all hold the same, each in pages of its own. */
export class AttentionDriver {
  /** [rows, numHeads * headDim], what the last `attend` of a step has written. */
  readonly attended: Operand;
  readonly #kernels: Kernels;
  readonly #pages: StepPages;
  readonly #numSequences: number;
  /** Sealed pages that a sequence has room for. */
  readonly #numSealed: number;
  readonly #tables: { readonly q: Matrix; readonly k: Matrix; readonly v: Matrix };
  readonly #buffers: { readonly q: Activation; readonly k: Activation; readonly v: Activation };

  private constructor(
    kernels: Kernels,
    numTokens: number,
    numSequences: number,
    tables: { q: Matrix; k: Matrix; v: Matrix },
  ) {
    this.#kernels = kernels;
    this.#tables = tables;
    this.#buffers = {
      q: kernels.createActivation(tables.q.numCols, 'step'),
      k: kernels.createActivation(tables.k.numCols, 'step'),
      v: kernels.createActivation(tables.v.numCols, 'step'),
    };
    this.attended = kernels.createOperand(tables.q.numCols, 'step');
    this.#numSequences = numSequences;
    this.#numSealed = Math.ceil(numTokens / kernels.config.format.pageSize);
    this.#pages = createStepPages(kernels, this.#numSealed * numSequences, numSequences);
  }

  /** Fills all layers' pages with `numTokens` tokens of each sequence. @throws KvantError OUT_OF_MEMORY */
  static async create(kernels: Kernels, numTokens: number, numSequences = 1): Promise<AttentionDriver> {
    const { shape, numHeads } = kernels.config;
    const table = (numCols: number, seed: number, deviation?: number): Promise<Matrix> =>
      kernels.loadMatrix(randomTensor(NUM_TABLE_ROWS, numCols, seed, deviation), { kind: 'file' });
    const [queryWidth, keyWidth] = [numHeads * shape.headDim, shape.numKvHeads * shape.headDim];
    // Queries as `storeKeysValues` would leave them.
    const tables = {
      q: await table(queryWidth, 1, 1 / Math.sqrt(shape.headDim)),
      k: await table(keyWidth, 2),
      v: await table(keyWidth, 3),
    };
    const driver = new AttentionDriver(kernels, numTokens, numSequences, tables);
    for (let sequence = 0; sequence < numSequences; sequence++) {
      for (let position = 0; position < numTokens;) {
        const numRows = Math.min(numTokens, openPageEnd(position, kernels.config.format)) - position;
        await driver.#store({ firstPosition: position, numRows, numSequences: 1 }, sequence);
        position += numRows;
      }
    }
    return driver;
  }

  /** The token of decode that sees `numTokens` tokens. */
  decodeRow(numTokens: number): QueryRows {
    return { firstPosition: numTokens - 1, numRows: 1, numSequences: 1 };
  }

  /** The same of every sequence. */
  batchRows(numTokens: number): QueryRows {
    return { ...this.decodeRow(numTokens), numSequences: this.#numSequences };
  }

  /** The last whole page of prefill among `numTokens` tokens; fewer rows where there is none. */
  prefillRows(numTokens: number): QueryRows {
    const { pageSize, numSinkTokens } = this.#kernels.config.format;
    const numPages = Math.floor((numTokens - numSinkTokens) / pageSize);
    if (numPages < 1) return { firstPosition: 0, numRows: numTokens, numSequences: 1 };
    return { firstPosition: numSinkTokens + (numPages - 1) * pageSize, numRows: pageSize, numSequences: 1 };
  }

  /**
   * One step that attends in each layer in turn, as often as told; queries see every token up to their own.
   *
   * @param record what else the step does, at its end
   */
  async attend(rows: QueryRows, numTimes: number, record: () => void = () => undefined): Promise<void> {
    const kernels = this.#kernels;
    const { q } = this.#buffers;
    kernels.beginStep(this.#step(rows, 0));
    kernels.embed(this.#tables.q, q);
    for (let time = 0; time < numTimes; time++) {
      kernels.attend(time % kernels.config.shape.numLayers, q, this.attended);
    }
    record();
    await kernels.finishStep();
  }

  /** Of one attention in one layer: both products, and the keys and values that a query sees, in the page's own bytes. */
  work({ firstPosition, numRows, numSequences }: QueryRows): KernelWork {
    const { shape, numHeads, format } = this.#kernels.config;
    const { numKvHeads, headDim, numLayers } = shape;
    const end = firstPosition + numRows;
    const numSeen = numRows * firstPosition + (numRows * (numRows + 1)) / 2;
    const numSealed = openPageNumber(firstPosition, format);
    const numF16 = end - numSealed * format.pageSize;
    const sealedBytes = (numSealed * this.#pages.sealed.layout.pageBytes) / numLayers;
    const f16Bytes = numF16 * 2 * numKvHeads * headDim * 2;
    return {
      macs: numSequences * 2 * numHeads * headDim * numSeen,
      bytes: numSequences * (sealedBytes + f16Bytes),
    };
  }

  async #store(rows: QueryRows, sequence: number): Promise<void> {
    const kernels = this.#kernels;
    const { q, k, v } = this.#buffers;
    kernels.beginStep(this.#step(rows, sequence));
    for (let layer = 0; layer < kernels.config.shape.numLayers; layer++) {
      kernels.embed(this.#tables.q, q);
      kernels.embed(this.#tables.k, k);
      kernels.embed(this.#tables.v, v);
      kernels.storeKeysValues(layer, q, k, v);
      kernels.sealTiles(layer);
    }
    await kernels.finishStep();
  }

  #step(rows: QueryRows, firstSequence: number): Step {
    const { firstPosition, numRows, numSequences } = rows;
    const segments = Array.from({ length: numSequences }, (_, index) =>
      this.#segment(rows, firstSequence + index, index * numRows),
    );
    const tokenIds = segments.flatMap(() =>
      Array.from({ length: numRows }, (_, row) => (firstPosition + row) % NUM_TABLE_ROWS),
    );
    return { tokenIds, segments, outputRows: [] };
  }

  #segment({ firstPosition, numRows }: QueryRows, sequence: number, firstRow: number): Segment {
    const { format } = this.#kernels.config;
    const numSealed = openPageNumber(firstPosition, format);
    const fillsPage = firstPosition + numRows === openPageEnd(firstPosition, format);
    const firstPage = sequence * this.#numSealed;
    return {
      firstRow,
      numRows,
      firstPosition,
      pages: this.#pages,
      sealedPages: Array.from({ length: numSealed }, (_, page) => firstPage + page),
      openPage: sequence,
      sinkPage: this.#pages.sink && sequence,
      sealInto: fillsPage ? firstPage + numSealed : undefined,
    };
  }
}
