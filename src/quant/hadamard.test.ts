import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { hadamardFloat32, hadamardFloat64 } from './hadamard.ts';

const SIZES = [1, 2, 16, 32, 64, 128, 256];

/** H[i][j] = (-1)^(number of ones in i & j), the natural order. */
function multiplyByMatrix(x: Float64Array): Float64Array {
  return x.map((_, i) => {
    let sum = 0;
    for (let j = 0; j < x.length; j++) {
      const ones = (i & j).toString(2).replaceAll('0', '').length;
      sum += ones % 2 === 0 ? x[j] : -x[j];
    }
    return sum / Math.sqrt(x.length);
  });
}

function gaussian(size: number): Float64Array {
  return new Float64Array(size).map(normalStream(size));
}

test('the float64 rotation equals the matrix in natural order (absolute error < 1e-13)', () => {
  for (const size of SIZES) {
    const x = gaussian(size);
    const expected = multiplyByMatrix(x);
    hadamardFloat64(x, 0, size);
    x.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-13));
  }
});

test('the float32 rotation equals float64 (absolute error < 2e-6) and keeps the energy (relative error < 1e-6)', () => {
  for (const size of SIZES) {
    const x = Float32Array.from(gaussian(size));
    const rotated = Float32Array.from(x);
    hadamardFloat32(rotated, 0, size);
    const expected = multiplyByMatrix(Float64Array.from(x));
    rotated.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 2e-6));
    const energy = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);
    assert.ok(Math.abs(energy(rotated) / energy(x) - 1) < 1e-6);
  }
});

test('the rotation is its own inverse (absolute error < 1e-14) and touches no other values', () => {
  const x = gaussian(96);
  const original = x.slice();
  hadamardFloat64(x, 16, 64);
  assert.notDeepEqual(x, original);
  hadamardFloat64(x, 16, 64);
  x.forEach((value, i) => assert.ok(Math.abs(value - original[i]) < 1e-14));
  assert.deepEqual(x.subarray(0, 16), original.subarray(0, 16));
  assert.deepEqual(x.subarray(80), original.subarray(80));
});

test('the float32 rotation rounds every operation', () => {
  // 2^24 + 1 is no float32, so the sum loses the 1; in float64 it would not.
  const x = Float32Array.of(2 ** 24, 1, 0, 0);
  hadamardFloat32(x, 0, 4);
  assert.deepEqual([...x], [2 ** 23, (2 ** 24 - 1) / 2, 2 ** 23, (2 ** 24 - 1) / 2]);
});

test('sizes that are no power of two, and extents beyond the array, are refused', () => {
  assert.throws(() => hadamardFloat32(new Float32Array(96), 0, 96), /power of two, not 96/);
  assert.throws(() => hadamardFloat64(new Float64Array(8), 4, 8), /values 4 to 12 are not within an array of 8/);
});
