import { CholeskyDecomposition, EigenvalueDecomposition, inverse, Matrix } from 'ml-matrix';

/** A head's transform. All matrices are [headDim, headDim]. */
export interface BalancedTransform {
  /** What is stored is forward times the head. */
  readonly forward: Matrix;
  readonly inverse: Matrix;
}

/** Part of the mean variance that is added to every direction: text that was not seen may use those that this text did not. */
const DAMPING = 0.01;

/**
 * A change of basis in which what is quantized and what its errors cost are even, so that codes of one width for all channels are well spent: T with
 * T S T' = E^b and T'^-1 C T^-1 = E^(1 - b) for a diagonal E, then an orthogonal matrix that spreads every direction over all channels.
 * b = 1/2 balances both (WUSH, arXiv 2609.38121); with error feedback 1/4 is better (docs/decisions/0006-few-bits.md).
 *
 * @param spread S: second moments of what is quantized, symmetric, positive semidefinite
 * @param cost C: second moments of what its errors are multiplied with
 * @param balance b
 */
export function balancedTransform(spread: Matrix, cost: Matrix, balance: number): BalancedTransform {
  const size = spread.rows;
  const s = damp(normalize(spread), DAMPING);
  const c = damp(normalize(cost), DAMPING);
  const { root, inverseRoot } = squareRoots(s);
  const { values, vectors } = eigen(root.mmul(c).mmul(root));
  const powers = Matrix.diag(values.map((value) => value ** (balance / 2)));
  const unscaled = mixingMatrix(size).mmul(powers).mmul(vectors.transpose()).mmul(inverseRoot);
  const variance = unscaled.mmul(s).mmul(unscaled.transpose()).trace() / size;
  const forward = unscaled.div(Math.sqrt(variance));
  return { forward, inverse: inverse(forward) };
}

/**
 * How much of a channel's rounding error the channels before it are to take, for the least cost of all errors together: with C = R R' and
 * R lower triangular, R[i][j] / R[j][j] for j < i, which is what LDLQ (arXiv 2307.13304) and GPTQ (arXiv 2210.17323) do to weights.
 *
 * @param cost of errors of the untransformed head
 * @param damping part of the mean cost that is added to every channel
 * @returns strictly lower triangular
 */
export function errorFeedback(cost: Matrix, transform: BalancedTransform, damping: number): Matrix {
  const transformed = transform.inverse.transpose().mmul(cost).mmul(transform.inverse);
  const root = new CholeskyDecomposition(damp(symmetric(transformed), damping)).lowerTriangularMatrix;
  return Matrix.zeros(root.rows, root.columns).apply(function (i, j) {
    this.set(i, j, j < i ? root.get(i, j) / root.get(j, j) : 0);
  });
}

/**
 * An orthogonal matrix whose entries are about as large as each other: Walsh-Hadamard for the power of two in the size, times the cosine
 * transform for what remains of it (3 and 5 for heads of 96 and 80).
 */
export function mixingMatrix(size: number): Matrix {
  let power = 1;
  while (size % (2 * power) === 0) power *= 2;
  let matrix = cosineMatrix(size / power);
  for (let done = 1; done < power; done *= 2) {
    matrix = new Matrix([
      [1, 1],
      [1, -1],
    ])
      .div(Math.SQRT2)
      .kroneckerProduct(matrix);
  }
  return matrix;
}

/** The orthonormal discrete cosine transform (type II). */
function cosineMatrix(size: number): Matrix {
  return Matrix.zeros(size, size).apply(function (k, n) {
    const scale = Math.sqrt((k === 0 ? 1 : 2) / size);
    this.set(k, n, scale * Math.cos((Math.PI * (n + 0.5) * k) / size));
  });
}

/** Divided by the mean of its diagonal. */
function normalize(matrix: Matrix): Matrix {
  const mean = matrix.trace() / matrix.rows;
  return mean > 0 ? Matrix.div(matrix, mean) : Matrix.eye(matrix.rows);
}

function damp(matrix: Matrix, part: number): Matrix {
  const mean = matrix.trace() / matrix.rows;
  return Matrix.add(matrix, Matrix.eye(matrix.rows).mul(part * mean));
}

function symmetric(matrix: Matrix): Matrix {
  return Matrix.add(matrix, matrix.transpose()).div(2);
}

function squareRoots(matrix: Matrix): { root: Matrix; inverseRoot: Matrix } {
  const { values, vectors } = eigen(matrix);
  const withPower = (power: number): Matrix =>
    vectors.mmul(Matrix.diag(values.map((value) => value ** power))).mmul(vectors.transpose());
  return { root: withPower(0.5), inverseRoot: withPower(-0.5) };
}

/** Roundings may leave an eigenvalue that should be tiny at or below zero. */
const LEAST_EIGENVALUE = 1e-12;

/** Eigenvalues from the largest to the least, with their vectors as columns. */
function eigen(matrix: Matrix): { values: number[]; vectors: Matrix } {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(symmetric(matrix), {
    assumeSymmetric: true,
  });
  const order = realEigenvalues.map((_, i) => i).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const values = order.map((i) => Math.max(realEigenvalues[i], LEAST_EIGENVALUE));
  return { values, vectors: eigenvectorMatrix.subMatrixColumn(order) };
}
