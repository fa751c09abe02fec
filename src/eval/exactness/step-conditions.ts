import { besideOthers } from './companions.ts';
import { checkInTurn, checkTogether, TEXT_RUNS, type Condition } from './condition.ts';

/** What shares the steps of a prompt, and how it is cut into steps. */
export const STEP_CONDITIONS: readonly Condition[] = [
  ...[1, 3, 16].map(batchOf),
  ...[1, 7, 64, undefined].map(chunksOf),
  ...[1, 2, 3].map(threads),
];

function batchOf(numSequences: number): Condition {
  return {
    name: `batch of ${numSequences}`,
    async run(cell) {
      await cell.withEngine({ maxSequences: numSequences }, async (engine) => {
        if (numSequences === 1) return checkInTurn(cell, engine);
        const others = Array.from({ length: numSequences - TEXT_RUNS.length }, () => ({}));
        await besideOthers(engine, cell.text, others, () => checkTogether(cell, engine));
      });
    },
  };
}

/** @param prefillChunk tokens; undefined: as many as there are, up to the end of the page */
function chunksOf(prefillChunk: number | undefined): Condition {
  return {
    name: prefillChunk === undefined ? 'prompt in whole pages' : `prompt in chunks of ${prefillChunk}`,
    async run(cell) {
      await cell.withEngine({ prefillChunk }, (engine) => checkInTurn(cell, engine));
    },
  };
}

function threads(threads: number): Condition {
  return {
    name: threads === 1 ? '1 thread' : `${threads} threads`,
    backends: ['wasm', 'wasm-128', 'wasm-simd'],
    async run(cell) {
      await cell.withEngine({ threads }, (engine) => checkInTurn(cell, engine));
    },
  };
}
