/**
 * How much each token's values count: the sum of squared attention weights that later pages' queries give it. An error of the values
 * reaches an output times its weight.
 *
 * @param queries by query head: [numTokens, headDim], scaled
 * @param keys [numTokens, headDim]
 * @param every takes each so many-th query
 * @returns numTokens sums
 */
export function squaredAttention(
  queries: readonly Float32Array[],
  keys: Float32Array,
  { headDim, pageSize, every }: { readonly headDim: number; readonly pageSize: number; readonly every: number },
): Float64Array {
  const numTokens = keys.length / headDim;
  const sums = new Float64Array(numTokens);
  const weights = new Float64Array(numTokens);
  for (const head of queries) {
    for (let position = pageSize; position < numTokens; position += every) {
      const query = head.subarray(position * headDim, (position + 1) * headDim);
      softmaxScores(query, keys, position + 1, weights);
      const pageStart = position - (position % pageSize);
      for (let t = 0; t < pageStart; t++) sums[t] += weights[t] ** 2;
    }
  }
  return sums;
}

/** weights[t] = softmax of query . key[t] over the first numTokens. */
function softmaxScores(query: Float32Array, keys: Float32Array, numTokens: number, weights: Float64Array): void {
  const headDim = query.length;
  let most = -Infinity;
  for (let t = 0, at = 0; t < numTokens; t++) {
    let score = 0;
    for (let c = 0; c < headDim; c++) score += query[c] * keys[at++];
    weights[t] = score;
    if (score > most) most = score;
  }
  let sum = 0;
  for (let t = 0; t < numTokens; t++) sum += weights[t] = Math.exp(weights[t] - most);
  for (let t = 0; t < numTokens; t++) weights[t] /= sum;
}
