import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { headTransforms, invertMatrix, multiplyHead } from './head-transform.ts';

function randomMatrix(size: number, seed: number): Float64Array {
  const normal = normalStream(seed);
  return new Float64Array(size * size).map(() => normal());
}

test('a matrix times its inverse is the identity within 1e-10, at sizes 1 to 128', () => {
  for (const size of [1, 2, 3, 16, 64, 80, 128]) {
    const matrix = randomMatrix(size, size);
    const inverse = invertMatrix(matrix.slice(), size);
    for (let row = 0; row < size; row++) {
      for (let col = 0; col < size; col++) {
        let sum = 0;
        for (let i = 0; i < size; i++) sum += matrix[row * size + i] * inverse[i * size + col];
        assert.ok(Math.abs(sum - (row === col ? 1 : 0)) < 1e-10, `${size}: ${row}, ${col}`);
      }
    }
  }
});

test('a zero on the diagonal is no obstacle, a matrix of lower rank is refused', () => {
  assert.deepEqual([...invertMatrix(Float64Array.of(0, 2, 4, 0), 2)], [0, 0.25, 0.5, 0]);
  for (const matrix of [
    [1, 2, 2, 4],
    [0, 0, 0, 0],
    [NaN, 1, 1, 0],
  ]) {
    assert.throws(() => invertMatrix(Float64Array.from(matrix), 2), /a matrix has no inverse/);
  }
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
