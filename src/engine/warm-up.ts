import type { Kernels } from '../kernels/kernels.ts';
import type { ForwardModel } from './forward-model.ts';
import type { KvMemory } from './kv-memory.ts';

export interface WarmUpParts {
  readonly kernels: Kernels;
  readonly model: ForwardModel;
  readonly memory: KvMemory;
}

/** Rows of the steps after the first one, which fills a page: as many as there are kernels for different numbers of rows. */
const ROWS_OF_STEPS = [16, 4, 3, 2, 1];

/** As of so many requests that decode together. */
const MOST_OUTPUT_ROWS = 16;

/**
 * Runs some tokens through the model, for kernels that compile an operation when it is first used: no request waits for that then. Leaves nothing
 * behind. Before the first request.
 *
 * @throws KvantError ENGINE_FAILED, OUT_OF_MEMORY
 */
export async function warmUp({ kernels, model, memory }: WarmUpParts): Promise<void> {
  const { maxRows, maxContext } = kernels.config;
  const pages = memory.createSequence();
  try {
    const fullPage = Math.min(pages.numTokensToFull, maxRows);
    for (const numRows of [fullPage, ...ROWS_OF_STEPS]) {
      if (numRows > Math.min(maxRows, maxContext - pages.numTokens, pages.numTokensToFull)) continue;
      pages.reserve(numRows);
      const segment = { firstRow: 0, numRows, pages: memory.defaultCache.pages, ...pages.segment(numRows) };
      const tokenIds = new Array<number>(numRows).fill(0);
      await model.forward({
        tokenIds,
        segments: [segment],
        outputRows: tokenIds.slice(0, MOST_OUTPUT_ROWS).map((_, row) => row),
        numLargest: 1,
      });
      pages.commit(numRows);
    }
  } finally {
    pages.release();
  }
}
