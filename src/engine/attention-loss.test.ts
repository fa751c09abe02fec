import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { AttentionLoss, type HeadCache } from './attention-loss.ts';

const HEAD_DIM = 16;

function gaussian(length: number, seed: number): Float64Array {
  return new Float64Array(length).map(normalStream(seed));
}

function cacheOf(numTokens: number, seed: number): HeadCache {
  return { keys: gaussian(numTokens * HEAD_DIM, seed), values: gaussian(numTokens * HEAD_DIM, seed + 1) };
}

function assertClose(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= 1e-12 * Math.max(1, Math.abs(expected)), `${actual}, not ${expected}`);
}

test('what is exact loses nothing, however huge the scores', () => {
  const loss = new AttentionLoss();
  const cache = cacheOf(50, 1);
  for (const scale of [0, 1, 1e6]) {
    const query = Float32Array.from(gaussian(HEAD_DIM, 9), (value) => scale * value);
    loss.add(query, 50, cache, { keys: cache.keys.slice(), values: cache.values.slice() });
  }
  assert.deepEqual([loss.attentionKld, loss.valueError, loss.outputError], [0, 0, 0]);
});

test('two tokens, worked out by hand, to 12 digits', () => {
  const loss = new AttentionLoss();
  // Scores log 3 and 0: shares 3/4 and 1/4. With cached keys both are 0: shares of a half.
  const exact = { keys: Float64Array.of(Math.log(3), 0), values: Float64Array.of(1, -1) };
  const cached = { keys: Float64Array.of(0, 0), values: Float64Array.of(1.5, -1) };
  loss.add(Float32Array.of(1), 2, exact, cached);
  assertClose(loss.attentionKld, 0.75 * Math.log(1.5) + 0.25 * Math.log(0.5));
  // The output is 1/2; values alone make 7/8 of it, both together 1/4.
  assertClose(loss.valueError, 0.75);
  assertClose(loss.outputError, 0.5);
});

test('tokens that a query does not see have no part in it', () => {
  const [exact, cached] = [cacheOf(8, 1), cacheOf(8, 1)];
  cached.keys.fill(1e9, 5 * HEAD_DIM);
  cached.values.fill(NaN, 5 * HEAD_DIM);
  const loss = new AttentionLoss();
  loss.add(Float32Array.from(gaussian(HEAD_DIM, 3)), 5, exact, cached);
  assert.deepEqual([loss.attentionKld, loss.outputError], [0, 0]);
});

test('errors of values leave attention as it is; errors of keys leave the error of values at 0', () => {
  const [exact, other] = [cacheOf(40, 1), cacheOf(40, 7)];
  const query = Float32Array.from(gaussian(HEAD_DIM, 3));
  const ofValues = new AttentionLoss();
  ofValues.add(query, 40, exact, { keys: exact.keys, values: other.values });
  assert.ok(ofValues.attentionKld === 0 && ofValues.valueError > 0.5);
  assertClose(ofValues.outputError, ofValues.valueError);
  const ofKeys = new AttentionLoss();
  ofKeys.add(query, 40, exact, { keys: other.keys, values: exact.values });
  assert.ok(ofKeys.attentionKld > 0.5 && ofKeys.valueError === 0 && ofKeys.outputError > 0.1);
});

test('errors are measured after the transform of values has been undone', () => {
  const exact = { keys: Float64Array.of(0, 0), values: Float64Array.of(2, 0) };
  const cached = { keys: exact.keys, values: Float64Array.of(2, 8) };
  const loss = new AttentionLoss();
  loss.add(Float32Array.of(1, 1), 1, exact, cached, (output) => output.set([output[0], output[1] / 100]));
  assertClose(loss.valueError, 0.04);
});

test('what is no number gives no number, not a small one', () => {
  const [exact, cached] = [cacheOf(8, 1), cacheOf(8, 1)];
  cached.keys[3] = NaN;
  const loss = new AttentionLoss();
  loss.add(Float32Array.from(gaussian(HEAD_DIM, 3)), 8, exact, cached);
  assert.ok(Number.isNaN(loss.attentionKld) && Number.isNaN(loss.outputError));
  const ofQuery = new AttentionLoss();
  ofQuery.add(new Float32Array(HEAD_DIM).fill(Infinity), 8, exact, exact);
  assert.ok(Number.isNaN(ofQuery.attentionKld) && Number.isNaN(ofQuery.valueError));
});

test('lengths that do not go together are refused', () => {
  const query = new Float32Array(HEAD_DIM);
  for (const numVisible of [0, 9]) {
    assert.throws(() => new AttentionLoss().add(query, numVisible, cacheOf(8, 1), cacheOf(8, 1)), RangeError);
  }
  assert.throws(() => new AttentionLoss().add(query, 8, cacheOf(8, 1), cacheOf(9, 1)), RangeError);
});
