import type { Generation } from '../engine/types.ts';
import type { RequestMetrics } from './request-metrics.ts';

/** Measures an answer as it comes, whoever else reads it. @returns the answer */
export function tracked(generation: Generation, metrics: RequestMetrics): Generation {
  void track(generation, metrics);
  return generation;
}

/** Never rejects. */
async function track(generation: Generation, metrics: RequestMetrics): Promise<void> {
  try {
    for await (const { tokenIds } of generation) metrics.tokens(tokenIds.length);
    const { finishReason, promptTokens, completionTokens } = await generation.result;
    metrics.ended(finishReason, { prompt: promptTokens, completion: completionTokens });
  } catch {
    metrics.ended('error');
  }
}
