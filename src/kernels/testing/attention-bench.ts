import type { PageLayout } from '../../cache/page-layout.ts';
import { f16PageLayout, sealedPageLayout } from '../../cache/page-layout.ts';
import type { Kernels, KernelsConfig, MatmulOutput, Operand } from '../kernels.ts';
import { Pages } from '../reference/pages.ts';
import { largestMagnitude } from './assert-within.ts';
import type { Placement } from './page-bench.ts';
import { PageBench } from './page-bench.ts';
import type { Input } from './row-bench.ts';
import { RowBench } from './row-bench.ts';
import { pageOfData, queryRows } from './tile-data.ts';

/** Consecutive queries of one sequence. */
export interface QueryRun {
  /** Sealed pages before the open one. */
  readonly numSealed: number;
  /** Place of the first query in the open page; below 0, where nothing is sealed, it is in the sink page. */
  readonly firstIndex: number;
  readonly numRows: number;
}

/**
 * Attention alone: pages hold given bytes, not what the kernels under test stored, so that all implementations attend
 * to the same ones. Open pages have tokens beyond the last query, which it must not see.
 */
export interface AttentionCase {
  /** One sequence each, with an open page and a sink page of its own. The i-th sealed page of all is the same one. */
  readonly runs: readonly QueryRun[];
  readonly pages: { readonly sealed: Uint8Array[]; readonly open: Uint8Array[]; readonly sink: Uint8Array[] };
  /** [numHeads * headDim] a query, run after run. */
  readonly queries: readonly Float32Array[];
  /** Largest magnitude of a value in any page: what errors are relative to. */
  readonly largestValue: number;
}

/** Pages of one kind repeat after so many: quicker to make, and no multiple of what kernels take at a time. */
const NUM_DISTINCT_PAGES = 11;

/** @param data what keys and values are, see TILE_DATA */
export function createAttentionCase(config: KernelsConfig, data: string, runs: readonly QueryRun[]): AttentionCase {
  const { format, shape, numHeads } = config;
  const layouts = [
    sealedPageLayout(format, shape),
    f16PageLayout(format.pageSize, shape),
    f16PageLayout(format.numSinkTokens, shape),
  ];
  const numSealed = Math.max(...runs.map((run) => run.numSealed));
  const counts = [numSealed, runs.length, format.numSinkTokens === 0 ? 0 : runs.length];
  const [sealed, open, sink] = layouts.map((layout, kind) => {
    const distinct = Array.from({ length: Math.min(counts[kind], NUM_DISTINCT_PAGES) }, (_, page) =>
      pageOfData(layout, data, 100 * kind + page),
    );
    return Array.from({ length: counts[kind] }, (_, page) => distinct[page % NUM_DISTINCT_PAGES]);
  });
  const largest = [sealed, open, sink].map((pages, kind) =>
    [...new Set(pages)].map((bytes) => largestValueOf(layouts[kind], bytes)),
  );
  return {
    runs,
    pages: { sealed, open, sink },
    queries: queryRows(
      runs.reduce((sum, { numRows }) => sum + numRows, 0),
      numHeads,
      shape.headDim,
      7,
    ),
    largestValue: Math.max(...largest.flat()),
  };
}

function largestValueOf(layout: PageLayout, bytes: Uint8Array): number {
  const pages = new Pages(layout, 1);
  pages.pageBytes(0).set(bytes);
  const heads = Array.from({ length: layout.shape.numKvHeads }, (_, head) => head);
  const place = { page: 0, layer: layout.shape.numLayers - 1, kind: 'v' } as const;
  return Math.max(...heads.map((head) => largestMagnitude(pages.readTile({ ...place, head }, layout.numTokens))));
}

/** Some of a run's rows: a segment of a step. */
export interface RunPart {
  readonly run: number;
  readonly firstRow: number;
  readonly numRows: number;
}

/** An attention case loaded into kernels. It attends in the last layer. */
export class AttentionBench {
  readonly #case: AttentionCase;
  readonly #bench: PageBench;
  readonly #q: Input;
  readonly #attended: Operand;
  readonly #reader: MatmulOutput;

  static async load(kernels: Kernels, attention: AttentionCase): Promise<AttentionBench> {
    const bench = new PageBench(kernels, attention.pages.sealed.length + attention.runs.length, attention.runs.length);
    for (const kind of ['sealed', 'open', 'sink'] as const) {
      const memory = bench.pages[kind];
      attention.pages[kind].forEach((bytes, page) => memory && kernels.writePage(memory, page, bytes));
    }
    const rows = new RowBench(kernels);
    const q = await rows.input(attention.queries);
    return new AttentionBench(attention, bench, q, await rows.reader(q.activation.width));
  }

  private constructor(attention: AttentionCase, bench: PageBench, q: Input, reader: MatmulOutput) {
    this.#case = attention;
    this.#bench = bench;
    this.#q = q;
    this.#attended = bench.kernels.createOperand(q.activation.width, 'step');
    this.#reader = reader;
  }

  /** All rows of all runs in one step. */
  async runAll(): Promise<Float32Array[]> {
    return this.run(this.#case.runs.map(({ numRows }, run) => ({ run, firstRow: 0, numRows })));
  }

  /** One step. @returns numHeads * headDim values a row */
  async run(parts: readonly RunPart[]): Promise<Float32Array[]> {
    const { kernels } = this.#bench;
    const rowIds = parts.flatMap((part) => this.rowIdsOf(part));
    await this.#bench.step(
      parts.map((part) => this.#place(part)),
      rowIds,
      [this.#q],
      () => {
        kernels.attend(kernels.config.shape.numLayers - 1, this.#q.activation, this.#attended);
        kernels.matmul(this.#attended, [this.#reader]);
      },
    );
    return rowIds.map((_, row) => kernels.readRow(this.#reader.out, row).slice());
  }

  /** Which rows of `runAll` a part has. */
  rowIdsOf({ run, firstRow, numRows }: RunPart): number[] {
    const before = this.#case.runs.slice(0, run).reduce((sum, other) => sum + other.numRows, 0);
    return Array.from({ length: numRows }, (_, i) => before + firstRow + i);
  }

  #place({ run, firstRow, numRows }: RunPart): Placement {
    const { numSinkTokens, pageSize } = this.#bench.kernels.config.format;
    const { numSealed, firstIndex } = this.#case.runs[run];
    const index = firstIndex + firstRow;
    const place = {
      firstPosition: numSinkTokens + numSealed * pageSize + index,
      numRows,
      openPage: run,
      sealedPages: Array.from({ length: numSealed }, (_, page) => page),
    };
    return index + numRows === pageSize ? { ...place, sealInto: this.#case.pages.sealed.length + run } : place;
  }
}
