import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { attendHead } from './attention.ts';
import type { KeyValueBlock } from './attention.ts';

/** softmax(q K^T) V, written for one list of tokens. */
function naiveAttention(q: Float64Array, keys: Float64Array[], values: Float64Array[]): number[] {
  const weights = keys.map((key) => Math.exp(key.reduce((sum, value, c) => sum + value * q[c], 0)));
  const total = weights.reduce((a, b) => a + b);
  return [...q].map((_, c) => weights.reduce((sum, weight, t) => sum + (weight / total) * values[t][c], 0));
}

function randomTokens(numTokens: number, headDim: number, seed: number): Float64Array[] {
  const normal = normalStream(seed);
  return Array.from({ length: numTokens }, () => new Float64Array(headDim).map(normal));
}

function blocksOf(keys: Float64Array[], values: Float64Array[], sizes: readonly number[]): KeyValueBlock[] {
  let firstPosition = 0;
  return sizes.map((numTokens) => {
    const flat = (tokens: Float64Array[]): Float64Array =>
      Float64Array.from(tokens.slice(firstPosition, firstPosition + numTokens).flatMap((token) => [...token]));
    const block = { firstPosition, numTokens, k: flat(keys), v: flat(values) };
    firstPosition += numTokens;
    return block;
  });
}

test('attention over blocks equals a naive softmax at every position (absolute error < 1e-14)', () => {
  for (const headDim of [1, 16, 80]) {
    const [keys, values] = [randomTokens(41, headDim, 1), randomTokens(41, headDim, 2)];
    const [q] = randomTokens(1, headDim, 3).map((query) => query.map((value) => value / Math.sqrt(headDim)));
    const blocks = blocksOf(keys, values, [4, 16, 16, 5]);
    for (let position = 0; position < 41; position++) {
      const out = new Float64Array(headDim).fill(NaN);
      attendHead(q, position, blocks, new Float64Array(position + 1), out);
      const expected = naiveAttention(q, keys.slice(0, position + 1), values.slice(0, position + 1));
      out.forEach((value, c) => assert.ok(Math.abs(value - expected[c]) < 1e-14, `position ${position}, channel ${c}`));
    }
  }
});

test('the bits do not depend on tokens after the position, nor on where the scratch had values', () => {
  const [keys, values] = [randomTokens(30, 32, 4), randomTokens(30, 32, 5)];
  const [q] = randomTokens(1, 32, 6);
  const full = new Float64Array(32);
  attendHead(q, 21, blocksOf(keys, values, [4, 16, 10]), new Float64Array(64).fill(1e9), full);
  const cut = new Float64Array(32);
  attendHead(q, 21, blocksOf(keys.slice(0, 22), values.slice(0, 22), [4, 16, 2]), new Float64Array(22), cut);
  assert.deepEqual(full, cut);
});

test('scores of hundreds do not overflow: the largest takes everything', () => {
  const keys = [Float64Array.of(1), Float64Array.of(2), Float64Array.of(-5)];
  const values = [Float64Array.of(10), Float64Array.of(20), Float64Array.of(30)];
  const out = new Float64Array(1);
  attendHead(Float64Array.of(900), 2, blocksOf(keys, values, [3]), new Float64Array(3), out);
  assert.equal(out[0], 20);
});
