import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from './random-data.ts';
import { compareSamples, kolmogorovTail } from './support/kolmogorov-smirnov.ts';

test("the tail of Kolmogorov's distribution is that of its tables", () => {
  for (const [x, p] of [
    [1.2238478702, 0.1],
    [1.3580986393, 0.05],
    [1.6276236115, 0.01],
    [1.9494746055, 0.001],
    [0.8275735551, 0.5],
  ]) {
    assert.ok(Math.abs(kolmogorovTail(x) - p) < 1e-9, `${x}: ${kolmogorovTail(x)}`);
  }
  assert.deepEqual([kolmogorovTail(0), kolmogorovTail(0.199)], [1, 1]);
  assert.ok(kolmogorovTail(10) < 1e-80);
});

test('the distance of two samples is that of their distribution functions, ties included', () => {
  assert.equal(compareSamples([1, 2, 3, 4], [3, 4, 5, 6]).distance, 0.5);
  assert.equal(compareSamples([1, 1, 1], [1, 1]).distance, 0);
  assert.equal(compareSamples([3, 1, 2], [6, 5, 4]).distance, 1);
  assert.equal(compareSamples([1, 2], [1, 1, 2, 3]).distance, 0.25);
  assert.throws(() => compareSamples([], [1]), /a sample is empty/);
});

test('samples of one distribution pass, and those of two that are a little apart do not', () => {
  const normal = normalStream(3);
  const sample = (mean: number) => Array.from({ length: 1000 }, () => mean + normal());
  const same = Array.from({ length: 200 }, () => compareSamples(sample(0), sample(0)).p);
  const below = same.filter((p) => p < 0.05).length;
  assert.ok(below >= 2 && below <= 20, `${below} of 200 below 0.05, where 10 are expected`);
  assert.ok(compareSamples(sample(0), sample(0.2)).p < 0.01);
});
