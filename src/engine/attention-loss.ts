/** Keys and values of a KV head: [numTokens, headDim] each, token-major. */
export interface HeadCache {
  readonly keys: Float64Array;
  readonly values: Float64Array;
}

/** Undoes what values are transformed by, in place. */
export type RestoreOutput = (output: Float64Array) => void;

/**
 * What attention loses where keys and values are not the exact ones, summed up over queries. Errors are relative: the root of the
 * summed squares of errors over that of exact outputs.
 */
export class AttentionLoss {
  #numQueries = 0;
  #kld = 0;
  #squaredOutput = 0;
  #squaredValueError = 0;
  #squaredOutputError = 0;

  /**
   * Adds a query that sees the first `numVisible` tokens.
   *
   * @param query [headDim], scaled by 1 / sqrt(headDim)
   * @throws RangeError if lengths do not go together
   */
  add(query: Float32Array, numVisible: number, exact: HeadCache, cached: HeadCache, restore?: RestoreOutput): void {
    checkLengths(query.length, numVisible, exact, cached);
    const [weights, cachedWeights] = [exact, cached].map(({ keys }) => attentionWeights(query, numVisible, keys));
    const { output, valueError, weightError } = attend(weights, cachedWeights, exact, cached, query.length);
    const outputError = valueError.map((error, c) => error + weightError[c]);
    if (restore) [output, valueError, outputError].forEach(restore);
    this.#numQueries += 1;
    this.#kld += divergence(weights, cachedWeights);
    this.#squaredOutput += sumOfSquares(output);
    this.#squaredValueError += sumOfSquares(valueError);
    this.#squaredOutputError += sumOfSquares(outputError);
  }

  /** Mean KL divergence of the attention weights with exact keys to those with cached ones, in nats. */
  get attentionKld(): number {
    return this.#kld / this.#numQueries;
  }

  /** Error of attention's output that comes from values alone. */
  get valueError(): number {
    return relative(this.#squaredValueError, this.#squaredOutput);
  }

  /** Error of attention's output that comes from keys and values. */
  get outputError(): number {
    return relative(this.#squaredOutputError, this.#squaredOutput);
  }
}

/** A softmax: shares, and their logarithms. */
interface Weights {
  readonly shares: Float64Array;
  readonly logShares: Float64Array;
}

function attentionWeights(query: Float32Array, numVisible: number, keys: Float64Array): Weights {
  const headDim = query.length;
  const logShares = new Float64Array(numVisible);
  let max = -Infinity;
  for (let t = 0, i = 0; t < numVisible; t++) {
    let score = 0;
    for (let c = 0; c < headDim; c++, i++) score += query[c] * keys[i];
    logShares[t] = score;
    if (score > max) max = score;
  }
  let total = 0;
  for (let t = 0; t < numVisible; t++) total += Math.exp(logShares[t] - max);
  const logTotal = max + Math.log(total);
  const shares = new Float64Array(numVisible);
  for (let t = 0; t < numVisible; t++) {
    logShares[t] -= logTotal;
    shares[t] = Math.exp(logShares[t]);
  }
  return { shares, logShares };
}

/** The exact output, and the two parts of its error: what values add with exact weights, and weights with cached values. One pass for all. */
function attend({ shares }: Weights, cachedWeights: Weights, exact: HeadCache, cached: HeadCache, headDim: number) {
  const { values } = exact;
  const { values: cachedValues } = cached;
  const { shares: cachedShares } = cachedWeights;
  const [output, valueError, weightError] = [0, 1, 2].map(() => new Float64Array(headDim));
  for (let t = 0, i = 0; t < shares.length; t++) {
    const share = shares[t];
    const shareError = cachedShares[t] - share;
    for (let c = 0; c < headDim; c++, i++) {
      const value = values[i];
      const cachedValue = cachedValues[i];
      output[c] += share * value;
      valueError[c] += share * (cachedValue - value);
      weightError[c] += shareError * cachedValue;
    }
  }
  return { output, valueError, weightError };
}

/** KL(p || q) in nats. */
function divergence(p: Weights, q: Weights): number {
  let sum = 0;
  for (let t = 0; t < p.shares.length; t++) {
    // A share that is zero in float64 has no part in it, however far apart the logarithms are. NaN has.
    if (p.shares[t] !== 0) sum += p.shares[t] * (p.logShares[t] - q.logShares[t]);
  }
  return Math.max(sum, 0);
}

function sumOfSquares(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}

function relative(squaredError: number, squaredWhole: number): number {
  if (squaredError === 0) return 0;
  return Math.sqrt(squaredError / squaredWhole);
}

function checkLengths(headDim: number, numVisible: number, exact: HeadCache, cached: HeadCache): void {
  const lengths = [exact.keys, exact.values, cached.keys, cached.values].map(({ length }) => length);
  const numTokens = lengths[0] / headDim;
  if (numVisible < 1 || numVisible > numTokens || lengths.some((length) => length !== lengths[0])) {
    throw new RangeError(
      `${numVisible} tokens of ${headDim} channels are not within keys and values of ${lengths.join(', ')}`,
    );
  }
}
