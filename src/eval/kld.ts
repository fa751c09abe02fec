import { checkLengths, type LogProbs } from '../engine/kl-divergence.ts';

export interface DivergenceSummary {
  readonly mean: number;
  readonly median: number;
  /** 99.9th percentile. */
  readonly percentile999: number;
  readonly max: number;
}

/**
 * Whether both hold the same token likeliest; of equally likely ones the lowest id counts.
 *
 * @throws RangeError if the rows differ in length or are empty
 */
export function agreesOnTop1(reference: LogProbs, candidate: LogProbs): boolean {
  checkLengths(reference, candidate);
  return likeliest(reference) === likeliest(candidate);
}

/**
 * Percentiles lie between the two nearest values, in proportion, as llama.cpp's perplexity tool has them.
 *
 * @throws RangeError if there are no divergences
 */
export function summarize(divergences: readonly number[]): DivergenceSummary {
  if (divergences.length === 0) throw new RangeError('no divergences to summarize');
  const sorted = Float64Array.from(divergences).sort();
  return {
    mean: divergences.reduce((sum, value) => sum + value, 0) / divergences.length,
    median: percentile(sorted, 0.5),
    percentile999: percentile(sorted, 0.999),
    max: sorted[sorted.length - 1],
  };
}

function percentile(sorted: Float64Array, fraction: number): number {
  const rank = fraction * (sorted.length - 1);
  const below = Math.floor(rank);
  const weight = rank - below;
  // Not with a weight of 0: infinity times 0 is no number.
  return weight === 0 ? sorted[below] : (1 - weight) * sorted[below] + weight * sorted[below + 1];
}

function likeliest(logProbs: LogProbs): number {
  let best = 0;
  for (let token = 1; token < logProbs.length; token++) if (logProbs[token] > logProbs[best]) best = token;
  return best;
}
