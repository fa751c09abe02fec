import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Matrix } from 'ml-matrix';
import { HeadStatistics } from './head-statistics.ts';
import { normalMatrix } from './testing/random-matrix.ts';

const SHAPE = { numLayers: 2, numKvHeads: 3, headDim: 16 };

/** [numTokens, headDim] numbers of float32. */
function tokens(numTokens: number, seed: number): Matrix {
  return Matrix.from1DArray(numTokens, 16, Float32Array.from(normalMatrix(numTokens, 16, seed).to1DArray()));
}

const flat = (matrix: Matrix): Float32Array => Float32Array.from(matrix.to1DArray());

function assertNear(actual: Matrix, expected: Matrix, tolerance: number): void {
  const error = Math.max(...Matrix.sub(actual, expected).to1DArray().map(Math.abs));
  assert.ok(error <= tolerance, `off by ${error}`);
}

test("keys have second moments about their page's mean, summed over pages (1e-3)", () => {
  const statistics = new HeadStatistics(SHAPE);
  const pages = [tokens(64, 1), tokens(64, 2)];
  const expected = Matrix.zeros(16, 16);
  pages.forEach((page, i) => {
    const centred = Matrix.sub(page, Matrix.ones(64, 1).mmul(Matrix.rowVector(page.mean('column'))));
    expected.add(centred.transpose().mmul(centred));
    // What all tokens of a page have in common is no matter.
    statistics.addKeys(
      4,
      flat(Matrix.add(page, Matrix.rowVector(Array.from({ length: 16 }, (_, c) => 3 * i + c)).repeat({ rows: 64 }))),
    );
  });
  assertNear(statistics.keyMoments(4).spread, expected, 1e-3);
  assert.ok(statistics.keyMoments(4).spread.isSymmetric());
});

test('queries and values have second moments about zero, values by weight (1e-4)', () => {
  const statistics = new HeadStatistics(SHAPE);
  const [queries, values] = [tokens(50, 3), tokens(50, 4)];
  const weights = Array.from({ length: 50 }, (_, t) => (t % 5) / 2);
  for (let t = 0; t < 50; t++) {
    statistics.addQuery(1, Float32Array.from(queries.getRow(t)));
    statistics.addValue(1, Float32Array.from(values.getRow(t)), weights[t]);
  }
  assertNear(statistics.keyMoments(1).cost, queries.transpose().mmul(queries), 1e-4);
  assertNear(statistics.valueSpread(1), values.transpose().mmul(Matrix.diag(weights)).mmul(values), 1e-4);
  assert.ok(statistics.valueSpread(1).isSymmetric());
});

test('heads, and keys, queries and values of a head, do not mix', () => {
  const statistics = new HeadStatistics(SHAPE);
  const numHeads = SHAPE.numLayers * SHAPE.numKvHeads;
  const page = flat(tokens(64, 1));
  const one = page.subarray(0, 16);
  statistics.addKeys(0, page);
  statistics.addQuery(2, one);
  statistics.addValue(5, one, 1);
  const filled = (of: (index: number) => Matrix): number[] =>
    Array.from({ length: numHeads }, (_, index) => index).filter((index) => of(index).norm() > 0);
  assert.deepEqual(
    filled((index) => statistics.keyMoments(index).spread),
    [0],
  );
  assert.deepEqual(
    filled((index) => statistics.keyMoments(index).cost),
    [2],
  );
  assert.deepEqual(
    filled((index) => statistics.valueSpread(index)),
    [5],
  );
});
