import type { Batch, BatchEntry } from './batch.ts';
import type { EngineRun } from './engine-run.ts';
import { kvOf } from './sequence.ts';

/**
 * Takes in a step in which a sequence had drafts. Each token is sampled as it would have been without them, and a draft is accepted where
 * it is that token; so drafts change nothing but the number of steps.
 *
 * @param useLogits samples the token that follows a position
 */
export function useDrafts(
  run: EngineRun,
  { draft, outputs }: BatchEntry,
  useLogits: (position: number, outputRow: number) => void,
): void {
  const { sequence } = run;
  let accepted = 0;
  for (const [index, { position, outputRow }] of outputs.entries()) {
    useLogits(position, outputRow);
    if (run.finishReason() !== undefined || sequence.tokens.at(-1) !== draft[index]) break;
    accepted++;
  }
  // What was computed of drafts that were not accepted is overwritten by what comes instead.
  kvOf(sequence).truncate(sequence.tokens.length - 1);
  run.drafted({ drafted: draft.length, accepted });
}

/** Whether a step computes no prompt: such steps tell what a row costs. */
export function isDecodeOnly({ entries }: Batch): boolean {
  return entries.every(({ numTokens }) => numTokens === 1);
}
