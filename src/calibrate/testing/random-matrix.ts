import { Matrix } from 'ml-matrix';
import { normalStream } from '../../../test/random-data.ts';

/** [numRows, numCols] standard normal numbers. */
export function normalMatrix(numRows: number, numCols: number, seed: number): Matrix {
  const normal = normalStream(seed);
  return Matrix.zeros(numRows, numCols).apply(function (row, col) {
    this.set(row, col, normal());
  });
}

/** Second moments of vectors whose channels correlate, and of which some are larger than others: what heads are like. */
export function randomMoments(size: number, seed: number, numVectors = 3 * size): Matrix {
  const sizes = Matrix.diag(Array.from({ length: size }, (_, c) => (c % 7 === 3 ? 8 : 1 + (c % 3))));
  const basis = normalMatrix(size, size, seed).div(Math.sqrt(size)).add(Matrix.eye(size)).mmul(sizes);
  const vectors = normalMatrix(numVectors, size, seed + 1).mmul(basis);
  return vectors.transpose().mmul(vectors);
}
