import { MOST_LARGEST, type LargestValues } from '../kernels/kernels.ts';
import type { EngineRun } from './engine-run.ts';
import { sampleLargest } from './sampler.ts';

/** How many of the largest logits will do for each row that a run uses in the next step; undefined: it needs them all. */
export function numLargestFor({ sequence, events }: EngineRun): number | undefined {
  const { request, numLogProbsGiven } = sequence;
  const tellsLogits = events.onLogits !== undefined || request.topLogProbs !== undefined;
  // The likeliest tokens may be none that it allows.
  if (request.grammar !== undefined) return undefined;
  if (tellsLogits || request.logProbsAt.length > numLogProbsGiven) return undefined;
  const { temperature, topK, logitBias, frequencyPenalty, presencePenalty, repetitionPenalty } = request.sampling;
  const changesLogits = frequencyPenalty !== 0 || presencePenalty !== 0 || repetitionPenalty !== 1;
  if (changesLogits || Object.keys(logitBias).length > 0) return undefined;
  if (temperature === 0) return 1;
  return topK > 0 && topK <= MOST_LARGEST ? topK : undefined;
}

/** How many will do for all of them. */
export function numLargestForAll(runs: Iterable<EngineRun>): number | undefined {
  let most = 0;
  for (const run of runs) {
    const own = numLargestFor(run);
    if (own === undefined) return undefined;
    most = Math.max(most, own);
  }
  return most > 0 ? most : undefined;
}

/**
 * Chooses the token that follows a position if it is the sequence's last.
 *
 * @throws KvantError ENGINE_FAILED if the largest logit is no number
 */
export function useLargest(run: EngineRun, position: number, largest: LargestValues): void {
  const { request, tokens, maxLength } = run.sequence;
  if (position !== tokens.length - 1 || tokens.length >= maxLength) return;
  run.addToken(sampleLargest(largest, tokens.length, request.sampling), undefined);
}
