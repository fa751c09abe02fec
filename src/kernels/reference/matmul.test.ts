import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { matmul } from './matmul.ts';
import type { Product } from './matmul.ts';

function randomProduct(numRows: number, width: number, numOutputs: number, options: Partial<Product> = {}): Product {
  const normal = normalStream(numRows + 31 * width + 977 * numOutputs);
  const x = new Float64Array(numRows * width).map(normal);
  const weights = new Float32Array(numOutputs * width).map(normal);
  const out = new Float64Array(numRows * numOutputs).map(normal);
  return { x, numRows, weights, width, numOutputs, out, bias: undefined, accumulate: false, ...options };
}

/** One product, summed by pairs: another order than that of `matmul`. */
function pairwiseDot(product: Product, t: number, n: number): number {
  const sum = (from: number, to: number): number => {
    if (to - from === 1) return product.x[t * product.width + from] * product.weights[n * product.width + from];
    const middle = (from + to) >> 1;
    return sum(from, middle) + sum(middle, to);
  };
  return sum(0, product.width);
}

test('products, biases and accumulation equal pairwise sums at odd sizes (absolute error < 1e-12)', () => {
  for (const [numRows, width, numOutputs] of [
    [1, 1, 1],
    [1, 33, 7],
    [3, 64, 8],
    [5, 96, 13],
    [2, 257, 3],
  ]) {
    const bias = new Float32Array(numOutputs).map((_, n) => n - 2);
    for (const options of [{}, { bias }, { accumulate: true }, { bias, accumulate: true }]) {
      const product = randomProduct(numRows, width, numOutputs, options);
      const before = product.out.slice();
      matmul(product);
      product.out.forEach((value, i) => {
        const [t, n] = [Math.floor(i / numOutputs), i % numOutputs];
        const expected = pairwiseDot(product, t, n) + (product.bias?.[n] ?? 0) + (product.accumulate ? before[i] : 0);
        assert.ok(Math.abs(value - expected) < 1e-12, `${value} is not ${expected}`);
      });
    }
  }
});

test('a row has the same bits alone and among others', () => {
  const together = randomProduct(6, 100, 11);
  matmul(together);
  for (let t = 0; t < 6; t++) {
    const alone = { ...together, numRows: 1, x: together.x.slice(100 * t, 100 * (t + 1)), out: new Float64Array(11) };
    matmul(alone);
    assert.deepEqual(alone.out, together.out.slice(11 * t, 11 * (t + 1)));
  }
});

test('zeros, denormal and huge values neither vanish nor overflow', () => {
  const x = Float64Array.of(0, 1e-45, 65504, -65504);
  const weights = Float32Array.of(1e38, 1e-45, 3e38, 3e38, 0, 0, 0, 0);
  const out = new Float64Array(2);
  matmul({ x, numRows: 1, weights, width: 4, numOutputs: 2, out, bias: undefined, accumulate: false });
  const tiny = Math.fround(1e-45);
  assert.deepEqual([...out], [65504 * weights[2] - 65504 * weights[3], 0]);
  matmul({ x: x.slice(0, 2), numRows: 1, weights, width: 2, numOutputs: 1, out, bias: undefined, accumulate: false });
  assert.equal(out[0], 1e-45 * tiny);
});
