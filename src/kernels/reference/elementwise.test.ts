import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { normGroups, rmsNorm, softmaxInPlace, swiGlu } from './elementwise.ts';

function assertNear(actual: Float64Array, expected: readonly number[], relativeError: number): void {
  assert.equal(actual.length, expected.length);
  expected.forEach((value, i) => {
    const allowed = relativeError * Math.abs(value);
    assert.ok(Math.abs(actual[i] - value) <= allowed, `${actual[i]} at ${i} is not ${value}`);
  });
}

test('RMSNorm of (3, 4) with weights (1, 2): mean square 12.5 (relative error < 1e-15)', () => {
  const out = new Float64Array(2);
  rmsNorm(Float64Array.of(3, 4), Float32Array.of(1, 2), 0, out);
  assertNear(out, [3 / Math.sqrt(12.5), 8 / Math.sqrt(12.5)], 1e-15);
});

test('RMSNorm: epsilon keeps zeros zero, and huge values do not overflow', () => {
  const out = new Float64Array(4);
  rmsNorm(new Float64Array(4), new Float32Array(4).fill(7), 1e-5, out);
  assert.deepEqual([...out], [0, 0, 0, 0]);
  rmsNorm(new Float64Array(4).fill(3e38), new Float32Array(4).fill(2), 1e-5, out);
  assertNear(out, [2, 2, 2, 2], 1e-15);
  rmsNorm(new Float64Array(4).fill(1e-3), new Float32Array(4).fill(1), 1e-6, out);
  assertNear(out, new Array<number>(4).fill(Math.SQRT1_2), 1e-13);
});

test('RMSNorm of groups: (3, 4) and (0, 5) by themselves, in place, with the same weights (relative error < 1e-15)', () => {
  const x = Float64Array.of(3, 4, 0, 5);
  normGroups(x, Float32Array.of(1, 2), 0);
  assertNear(x, [3 / Math.sqrt(12.5), 8 / Math.sqrt(12.5), 0, 10 / Math.sqrt(12.5)], 1e-15);
});

test('SwiGLU: known values of silu, its limits, and a product (relative error < 1e-15)', () => {
  const out = new Float64Array(5);
  swiGlu(Float64Array.of(0, 1, -1, 800, -800), Float64Array.of(5, 1, 2, 3, 4), out);
  assertNear(out, [0, 1 / (1 + 1 / Math.E), -2 / (1 + Math.E), 2400, 0], 1e-15);
});

test('softmax: equal, dominated and huge scores; what lies after the length stays', () => {
  const x = Float64Array.of(5, 5, 5, 5, 9);
  softmaxInPlace(x, 4);
  assert.deepEqual([...x], [0.25, 0.25, 0.25, 0.25, 9]);
  const huge = Float64Array.of(1e308, -1e308, 0);
  softmaxInPlace(huge, 3);
  assert.deepEqual([...huge], [1, 0, 0]);
  const logs = Float64Array.of(Math.log(1), Math.log(2), Math.log(5));
  softmaxInPlace(logs, 3);
  assertNear(logs, [1 / 8, 2 / 8, 5 / 8], 1e-15);
});

test('softmax of Gaussian scores sums to 1 and keeps their ratios (relative error < 1e-12)', () => {
  const scores = new Float64Array(100).map(normalStream(5));
  const weights = scores.slice();
  softmaxInPlace(weights, 100);
  assertNear(Float64Array.of(weights.reduce((a, b) => a + b)), [1], 1e-12);
  assertNear(
    weights.map((weight) => weight / weights[0]),
    [...scores].map((score) => Math.exp(score - scores[0])),
    1e-12,
  );
});
