import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tileValues } from '../kernels/testing/tile-data.ts';
import { keySpread } from './key-outliers.ts';

const [NUM_TOKENS, HEAD_DIM] = [256, 64];

function spreadOf(data: string): ReturnType<typeof keySpread> {
  return keySpread(Float64Array.from(tileValues(data, NUM_TOKENS, HEAD_DIM, 3)), HEAD_DIM);
}

test('Gaussian keys have neither: all channels are within twice the median', () => {
  const { outlier, bias } = spreadOf('Gaussian');
  assert.ok(outlier < 1.5 && bias < 0.5, `${outlier}, ${bias}`);
});

test('outlier channels 40 times as large, within a tenth', () => {
  const { outlier } = spreadOf('outlier');
  assert.ok(Math.abs(outlier / 40 - 1) < 0.15, `${outlier}`);
});

test('a bias of the channels, which is no outlier', () => {
  const { outlier, bias } = spreadOf('biased');
  assert.ok(outlier < 1.5 && bias > 20, `${outlier}, ${bias}`);
});

test('keys that are all alike, and zeros, have none; one channel beside nothing has no end', () => {
  assert.deepEqual(spreadOf('zero'), { outlier: 0, bias: 0 });
  const keys = new Float64Array(4 * HEAD_DIM);
  keys[0] = 1;
  assert.equal(keySpread(keys, HEAD_DIM).outlier, Infinity);
});
