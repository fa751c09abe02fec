/** What makes keys hard to quantize. */
export interface KeySpread {
  /** The largest deviation of a channel over the tokens, in those of the median channel. */
  readonly outlier: number;
  /** The largest mean of a channel, in deviations of the median channel. */
  readonly bias: number;
}

/**
 * How unlike the channels of a head are.
 *
 * @param keys [numTokens, headDim], as the model computed them
 */
export function keySpread(keys: Float64Array, headDim: number): KeySpread {
  const numTokens = keys.length / headDim;
  const deviations = new Float64Array(headDim);
  let largestMean = 0;
  for (let c = 0; c < headDim; c++) {
    let mean = 0;
    for (let i = c; i < keys.length; i += headDim) mean += keys[i] / numTokens;
    let squares = 0;
    for (let i = c; i < keys.length; i += headDim) squares += (keys[i] - mean) ** 2;
    deviations[c] = Math.sqrt(squares / numTokens);
    largestMean = Math.max(largestMean, Math.abs(mean));
  }
  deviations.sort();
  const median = deviations[Math.floor(headDim / 2)];
  return { outlier: over(deviations[headDim - 1], median), bias: over(largestMean, median) };
}

/** Nothing is no part of nothing. */
function over(value: number, median: number): number {
  return value === 0 ? 0 : value / median;
}
