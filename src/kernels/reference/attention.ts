import { softmaxInPlace } from './elementwise.ts';

/** Consecutive tokens of a sequence that one head may see. */
export interface KeyValueBlock {
  /** Position of the block's first token. */
  readonly firstPosition: number;
  readonly numTokens: number;
  /** [numTokens, headDim] */
  readonly k: Float64Array;
  /** [numTokens, headDim] */
  readonly v: Float64Array;
}

/**
 * Attention of one query head at `position`: out = softmax(q K^T) V over all tokens at `position` and before, in
 * float64. The query is already scaled by 1 / sqrt(headDim).
 *
 * @param q headDim values
 * @param blocks in order of position, without gaps, from position 0 to at least `position`
 * @param scores room for position + 1 values
 * @param out headDim values
 */
export function attendHead(
  q: Float64Array,
  position: number,
  blocks: readonly KeyValueBlock[],
  scores: Float64Array,
  out: Float64Array,
): void {
  const visible = blocks.filter(({ firstPosition }) => firstPosition <= position);
  for (const block of visible) writeScores(q, position, block, scores);
  softmaxInPlace(scores, position + 1);
  out.fill(0);
  for (const block of visible) addValues(scores, position, block, out);
}

function visibleTokens({ firstPosition, numTokens }: KeyValueBlock, position: number): number {
  return Math.min(numTokens, position + 1 - firstPosition);
}

/** Four tokens at a time: their sums do not wait for each other, and each still runs over the channels in order. */
function writeScores(q: Float64Array, position: number, block: KeyValueBlock, scores: Float64Array): void {
  const { firstPosition, k } = block;
  const headDim = q.length;
  const numTokens = visibleTokens(block, position);
  const numBlocked = numTokens - (numTokens % 4);
  for (let t = 0; t < numBlocked; t += 4) {
    const k0 = t * headDim;
    const k1 = k0 + headDim;
    const k2 = k1 + headDim;
    const k3 = k2 + headDim;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let c = 0; c < headDim; c++) {
      const value = q[c];
      sum0 += value * k[k0 + c];
      sum1 += value * k[k1 + c];
      sum2 += value * k[k2 + c];
      sum3 += value * k[k3 + c];
    }
    const at = firstPosition + t;
    scores[at] = sum0;
    scores[at + 1] = sum1;
    scores[at + 2] = sum2;
    scores[at + 3] = sum3;
  }
  for (let t = numBlocked; t < numTokens; t++) {
    let sum = 0;
    for (let c = 0; c < headDim; c++) sum += q[c] * k[t * headDim + c];
    scores[firstPosition + t] = sum;
  }
}

/** Four tokens at a time, added in order: the output is read and written a quarter as often, and has the same bits. */
function addValues(weights: Float64Array, position: number, block: KeyValueBlock, out: Float64Array): void {
  const { firstPosition, v } = block;
  const headDim = out.length;
  const numTokens = visibleTokens(block, position);
  const numBlocked = numTokens - (numTokens % 4);
  for (let t = 0; t < numBlocked; t += 4) {
    const [w0, w1, w2, w3] = weights.subarray(firstPosition + t, firstPosition + t + 4);
    const v0 = t * headDim;
    const v1 = v0 + headDim;
    const v2 = v1 + headDim;
    const v3 = v2 + headDim;
    for (let c = 0; c < headDim; c++) {
      out[c] = out[c] + w0 * v[v0 + c] + w1 * v[v1 + c] + w2 * v[v2 + c] + w3 * v[v3 + c];
    }
  }
  for (let t = numBlocked; t < numTokens; t++) {
    const weight = weights[firstPosition + t];
    for (let c = 0; c < headDim; c++) out[c] += weight * v[t * headDim + c];
  }
}
