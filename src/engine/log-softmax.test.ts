import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logSoftmax } from './log-softmax.ts';

test('log-probabilities of two tokens are those of the logistic function (error < 1e-7 relative or 1e-15)', () => {
  for (const difference of [0, 1e-40, 0.5, 3, 20, 80]) {
    const [first, second] = logSoftmax(Float32Array.of(difference, 0));
    const x = Math.fround(difference);
    const expected = [-Math.log1p(Math.exp(-x)), -x - Math.log1p(Math.exp(-x))];
    assert.ok(Math.abs(first - expected[0]) < Math.max(1e-15, 1e-7 * Math.abs(expected[0])));
    assert.ok(Math.abs(second - expected[1]) < 1e-7 * Math.abs(expected[1]));
  }
});

test('probabilities add up to 1 (error < 1e-6), also for huge and for masked logits', () => {
  for (const logits of [[1e30, -1e30, 0], [-3e38, -3e38], [0, -Infinity, 5], new Array<number>(50_001).fill(-7)]) {
    const sum = logSoftmax(Float32Array.from(logits)).reduce((total, logProb) => total + Math.exp(logProb), 0);
    assert.ok(Math.abs(sum - 1) < 1e-6, `${sum}`);
  }
});
