/**
 * Natural logarithms of the probabilities that logits stand for. Sums run in float64, in the order of the vocabulary,
 * so that equal logits give equal bits.
 *
 * @param logits [vocabulary]
 * @returns a new array, [vocabulary], rounded to float32 at the end
 */
export function logSoftmax(logits: Float32Array): Float32Array {
  const { max, logSum } = logNormalizer(logits);
  const logProbs = new Float32Array(logits.length);
  for (let i = 0; i < logits.length; i++) logProbs[i] = logits[i] - max - logSum;
  return logProbs;
}

/**
 * What a logit `x` loses to become a log-probability `x - max - logSum`.
 *
 * @param logits [vocabulary]
 */
export function logNormalizer(logits: Float32Array): { readonly max: number; readonly logSum: number } {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) if (logits[i] > max) max = logits[i];
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  return { max, logSum: Math.log(sum) };
}
