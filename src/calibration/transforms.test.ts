import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { multiplyHead } from '../quant/head-transform.ts';
import { headTransforms } from './transforms.ts';

function randomMatrix(size: number, seed: number): Float64Array {
  const normal = normalStream(seed);
  return new Float64Array(size * size).map(() => normal());
}

test('a matrix of lower rank is refused', () => {
  for (const matrix of [
    [1, 2, 2, 4],
    [0, 0, 0, 0],
  ]) {
    assert.throws(() => headTransforms(2, Float32Array.from(matrix)), /a matrix has no inverse/);
  }
});

test('a matrix that is not finite is refused, and one whose inverse float32 does not hold', () => {
  for (const number of [NaN, Infinity, -Infinity]) {
    const matrices = Float32Array.from([1, 0, 0, 1, 1, 0, number, 1]);
    assert.throws(() => headTransforms(2, matrices), /^RangeError: matrix 1 holds NaN or infinity$/);
  }
  assert.throws(
    () => headTransforms(1, Float32Array.of(2 ** -149)),
    /^RangeError: a matrix has no inverse in float32$/,
  );
});

test('queries times the transposed inverse leave their products with transformed keys as they were', () => {
  const headDim = 16;
  const forward = Float32Array.from([...randomMatrix(headDim, 1), ...randomMatrix(headDim, 2)]);
  const transforms = headTransforms(headDim, forward);
  const normal = normalStream(3);
  const [q, k] = [0, 1].map(() => Array.from({ length: headDim }, () => normal()));
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Array.from(a).reduce((sum, value, i) => sum + value * b[i], 0);
  for (const index of [0, 1]) {
    const key = multiplyHead(transforms.forward, index, k, false);
    const query = multiplyHead(transforms.inverse, index, q, true);
    assert.ok(Math.abs(dot(query, key) - dot(q, k)) < 1e-4);
    const back = multiplyHead(transforms.inverse, index, key, false);
    assert.ok(back.every((value, i) => Math.abs(value - k[i]) < 1e-4));
  }
});

test('lengths that are not whole matrices are refused', () => {
  assert.throws(() => headTransforms(8, new Float32Array(100)), /100 numbers are not whole matrices of 8 x 8/);
});
