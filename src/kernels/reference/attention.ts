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
 * Attention of one query head at `position`: out = softmax(q K^T) V over all tokens at `position` and before, in float64. The query is
 * already scaled by 1 / sqrt(headDim).
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

function writeScores(q: Float64Array, position: number, block: KeyValueBlock, scores: Float64Array): void {
  const { firstPosition, k } = block;
  const headDim = q.length;
  const numTokens = visibleTokens(block, position);
  for (let t = 0; t < numTokens; t++) {
    let score = 0;
    for (let c = 0; c < headDim; c++) score += q[c] * k[t * headDim + c];
    scores[firstPosition + t] = score;
  }
}

function addValues(weights: Float64Array, position: number, block: KeyValueBlock, out: Float64Array): void {
  const { firstPosition, v } = block;
  const headDim = out.length;
  const numTokens = visibleTokens(block, position);
  for (let t = 0; t < numTokens; t++) {
    const weight = weights[firstPosition + t];
    for (let c = 0; c < headDim; c++) out[c] += weight * v[t * headDim + c];
  }
}
