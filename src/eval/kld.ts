/** Row of log-probabilities (natural logarithms) over a vocabulary. */
export type LogProbs = ArrayLike<number>;

export interface DivergenceSummary {
  readonly mean: number;
  readonly median: number;
  /** 99.9th percentile. */
  readonly percentile999: number;
  readonly max: number;
}

/**
 * Kullback-Leibler divergence of a candidate's distribution from the reference's, in nats:
 * KLD = sum over the vocabulary of p_ref * (log p_ref - log p), in float64.
 *
 * A token that the reference rules out (log p_ref = -inf) adds nothing; one that only the candidate rules out makes the divergence infinite.
 *
 * @throws RangeError if the rows differ in length or are empty
 */
export function klDivergence(reference: LogProbs, candidate: LogProbs): number {
  checkLengths(reference, candidate);
  let sum = 0;
  for (let token = 0; token < reference.length; token++) {
    const logProb = reference[token];
    if (logProb === -Infinity) continue;
    sum += Math.exp(logProb) * (logProb - candidate[token]);
  }
  return sum;
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

function checkLengths(reference: LogProbs, candidate: LogProbs): void {
  if (reference.length === candidate.length && reference.length > 0) return;
  throw new RangeError(
    `cannot compare rows of ${reference.length} and ${candidate.length} log-probabilities: both must cover the same vocabulary`,
  );
}
