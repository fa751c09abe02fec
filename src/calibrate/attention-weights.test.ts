import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { squaredAttention } from './attention-weights.ts';

const HEAD_DIM = 8;
const PAGE_SIZE = 4;
const NUM_TOKENS = 4 * PAGE_SIZE;

function heads(seed: number, size = 1): Float32Array {
  const normal = normalStream(seed);
  return new Float32Array(NUM_TOKENS * HEAD_DIM).map(() => size * normal());
}

/** Attention of a query to all tokens up to its own. */
function softmax(queries: Float32Array, keys: Float32Array, position: number): number[] {
  const scores = Array.from({ length: position + 1 }, (_, t) => {
    let score = 0;
    for (let c = 0; c < HEAD_DIM; c++) score += queries[position * HEAD_DIM + c] * keys[t * HEAD_DIM + c];
    return score;
  });
  const most = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - most));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

test('sums squared weights over the queries of later pages, each so many-th, of all query heads (1e-12)', () => {
  const keys = heads(1);
  const queries = [heads(2), heads(3), heads(4)];
  for (const every of [1, 2, 3]) {
    const expected = new Array<number>(NUM_TOKENS).fill(0);
    for (const head of queries) {
      for (let position = PAGE_SIZE; position < NUM_TOKENS; position += every) {
        softmax(head, keys, position).forEach((weight, t) => {
          if (Math.floor(t / PAGE_SIZE) < Math.floor(position / PAGE_SIZE)) expected[t] += weight ** 2;
        });
      }
    }
    const sums = squaredAttention(queries, keys, { headDim: HEAD_DIM, pageSize: PAGE_SIZE, every });
    assert.ok(
      sums.every((sum, t) => Math.abs(sum - expected[t]) < 1e-12),
      `every ${every}: ${sums.join(' ')}`,
    );
    // No later page reads the last one.
    assert.ok(sums.subarray(-PAGE_SIZE).every((sum) => sum === 0));
    assert.ok(sums.subarray(0, -PAGE_SIZE).every((sum) => sum > 0));
  }
});

test('queries of zeros give all tokens the same weight: sums of 1 / n^2', () => {
  const options = { headDim: HEAD_DIM, pageSize: PAGE_SIZE, every: 1 };
  const sums = squaredAttention([new Float32Array(NUM_TOKENS * HEAD_DIM)], heads(1), options);
  const expected = (page: number): number => {
    let sum = 0;
    for (let position = (page + 1) * PAGE_SIZE; position < NUM_TOKENS; position++) sum += 1 / (position + 1) ** 2;
    return sum;
  };
  sums.forEach((sum, t) => assert.ok(Math.abs(sum - expected(Math.floor(t / PAGE_SIZE))) < 1e-12));
});

test('scores of ten thousands do not overflow', () => {
  const options = { headDim: HEAD_DIM, pageSize: PAGE_SIZE, every: 1 };
  const sums = squaredAttention([heads(2, 300)], heads(1, 300), options);
  assert.ok(sums.every((sum) => Number.isFinite(sum) && sum >= 0 && sum <= NUM_TOKENS));
  assert.ok(sums.some((sum) => sum >= 0.9));
});
