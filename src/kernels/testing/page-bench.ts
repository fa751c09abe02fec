import type { Kernels, Segment, StepPages } from '../kernels.ts';
import { createStepPages } from '../step-pages.ts';
import type { Input } from './row-bench.ts';

/** A segment without what follows from its position: which rows it has, and its sink page, that of its open page. */
export interface Placement {
  readonly firstPosition: number;
  readonly numRows: number;
  readonly openPage: number;
  readonly sealedPages: readonly number[];
  readonly sealInto?: number;
}

/** Runs operations of one step over pages that a test fills and reads. */
export class PageBench {
  readonly kernels: Kernels;
  readonly pages: StepPages;

  constructor(kernels: Kernels, numSealedPages: number, numOpenPages: number) {
    this.kernels = kernels;
    this.pages = createStepPages(kernels, numSealedPages, numOpenPages);
  }

  /** Pages of these kernels become those of other ones. */
  async copyPages(from: PageBench): Promise<void> {
    for (const kind of ['sealed', 'open', 'sink'] as const) {
      const [target, source] = [this.pages[kind], from.pages[kind]];
      for (let page = 0; target && source && page < target.numPages; page++) {
        this.kernels.writePage(target, page, await from.kernels.readPage(source, page));
      }
    }
  }

  /**
   * One step: row i of every input is row `rowIds[i]` of its table, then what `record` does.
   *
   * @param rowIds as many as the placements have rows together
   */
  async step(
    placements: readonly Placement[],
    rowIds: readonly number[],
    inputs: readonly Input[],
    record: () => void,
  ): Promise<void> {
    const { kernels, pages } = this;
    let firstRow = 0;
    const segments = placements.map(({ sealInto, ...place }): Segment => {
      const segment = { ...place, firstRow, pages, sinkPage: pages.sink && place.openPage, sealInto };
      firstRow += place.numRows;
      return segment;
    });
    kernels.beginStep({ tokenIds: rowIds, segments, outputRows: [] });
    for (const { table, activation } of inputs) kernels.embed(table, activation);
    record();
    await kernels.finishStep();
  }
}
