/** Row of log-probabilities (natural logarithms) over a vocabulary. */
export type LogProbs = ArrayLike<number>;

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

/** @throws RangeError if the rows differ in length or are empty */
export function checkLengths(reference: LogProbs, candidate: LogProbs): void {
  if (reference.length === candidate.length && reference.length > 0) return;
  throw new RangeError(
    `cannot compare rows of ${reference.length} and ${candidate.length} log-probabilities: both must cover the same vocabulary`,
  );
}
