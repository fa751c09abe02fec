/** What the rotary embedding's frequencies depend on. */
export interface RopeParameters {
  /** Channels that are rotated, two for each frequency. */
  readonly ropeDim: number;
  readonly ropeBase: number;
  /** Linear scaling (position interpolation, arXiv 2306.15595): positions are divided by it. */
  readonly ropeScalingFactor: number;
}

/**
 * Inverse frequencies of the rotary embedding (RoPE, arXiv 2104.09864), float64.
 * Pair i turns by `position * result[i]`.
 *
 * @param factors each frequency is divided by its own: llama 3's scaling, stored as tensor `rope_freqs.weight`
 * @returns ropeDim / 2 frequencies
 * @throws RangeError if there are not ropeDim / 2 factors
 */
export function ropeFrequencies(parameters: RopeParameters, factors?: ArrayLike<number>): number[] {
  const { ropeDim, ropeBase, ropeScalingFactor } = parameters;
  const numPairs = ropeDim / 2;
  if (factors && factors.length !== numPairs) {
    throw new RangeError(`${factors.length} RoPE factors for ${numPairs} pairs`);
  }
  return Array.from({ length: numPairs }, (_, pair) => {
    const frequency = ropeBase ** ((-2 * pair) / ropeDim);
    return frequency / ropeScalingFactor / (factors ? factors[pair] : 1);
  });
}
