import type { ResolvedSampling } from './defaults.ts';

/**
 * Which tokens are likely enough to be drawn. None of these functions sorts a whole vocabulary where a part will do.
 */

type CandidateFilters = Pick<ResolvedSampling, 'topK' | 'topP' | 'minP'>;

/** Index of the largest logit, the lowest of equal ones; undefined if one is NaN, or all are minus infinity. */
export function argmax(logits: Float32Array): number | undefined {
  let best: number | undefined;
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    // One comparison for most: it fails for what is larger and for what is no number.
    if (logits[i] <= max) continue;
    if (Number.isNaN(logits[i])) return undefined;
    max = logits[i];
    best = i;
  }
  return best;
}

/**
 * Ids that top-k, then top-p, then min-p leave. Each of them keeps the likeliest tokens down to some point, so that
 * their order matters only to the total that top-p counts against: that of top-k's tokens, min-p's included.
 *
 * @param max the largest logit
 * @returns ids, likeliest first where a filter is on, in order of the vocabulary where none is
 */
export function heaviestCandidates(logits: Float32Array, max: number, filters: CandidateFilters): Uint32Array {
  const { topK, topP, minP } = filters;
  const hasTopK = topK > 0 && topK < logits.length;
  const pool = hasTopK ? topKIds(logits, topK) : allIds(logits.length);
  if (topP === 1 && minP === 0) return pool;
  let total = 0;
  for (let i = 0; i < pool.length; i++) total += Math.exp(logits[pool[i]] - max);
  // Tokens below (1 - p) of an even share cannot make up 1 - p together, so the tokens that top-p keeps are above it.
  const leastWeight = Math.max(minP, topP < 1 ? ((1 - topP) * total) / pool.length : 0);
  const heavy = pool.filter((id) => Math.exp(logits[id] - max) >= leastWeight);
  if (!hasTopK) sortByLogit(heavy, logits);
  return topP < 1 ? heavy.subarray(0, numToReach(logits, heavy, max, topP * total)) : heavy;
}

/** How many of `ids`, from the first on, it takes until their weights add up to `goal`; all if they never do. */
function numToReach(logits: Float32Array, ids: Uint32Array, max: number, goal: number): number {
  let sum = 0;
  for (let i = 0; i < ids.length; i++) {
    sum += Math.exp(logits[ids[i]] - max);
    if (sum >= goal) return i + 1;
  }
  return ids.length;
}

/**
 * The k likeliest ids, likeliest first: a heap of the best k so far, its root the worst of them.
 *
 * @param k at most as many as there are logits
 */
export function topKIds(logits: Float32Array, k: number): Uint32Array {
  const heap = allIds(k);
  for (let i = (k >> 1) - 1; i >= 0; i--) siftDown(heap, i, logits);
  for (let id = k; id < logits.length; id++) {
    // A later id of the same logit is the less likely one, so only a larger logit gets in.
    if (logits[id] > logits[heap[0]]) {
      heap[0] = id;
      siftDown(heap, 0, logits);
    }
  }
  return sortByLogit(heap, logits);
}

/** Lets the id at `start` sink until both of its children are likelier. */
function siftDown(heap: Uint32Array, start: number, logits: Float32Array): void {
  const id = heap[start];
  let parent = start;
  for (let child = 2 * parent + 1; child < heap.length; child = 2 * parent + 1) {
    const right = child + 1;
    if (right < heap.length && isLikelier(logits, heap[child], heap[right])) child = right;
    if (!isLikelier(logits, id, heap[child])) break;
    heap[parent] = heap[child];
    parent = child;
  }
  heap[parent] = id;
}

function isLikelier(logits: Float32Array, a: number, b: number): boolean {
  return logits[a] > logits[b] || (logits[a] === logits[b] && a < b);
}

/** Sorts ids in place, likeliest first. */
function sortByLogit(ids: Uint32Array, logits: Float32Array): Uint32Array {
  return ids.sort((a, b) => logits[b] - logits[a] || a - b);
}

function allIds(count: number): Uint32Array {
  const ids = new Uint32Array(count);
  for (let id = 0; id < count; id++) ids[id] = id;
  return ids;
}
