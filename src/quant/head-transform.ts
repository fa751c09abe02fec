/** What heads are multiplied by before they are stored: a matrix for each layer and KV head. */
export interface HeadTransforms {
  readonly headDim: number;
  /** [numLayers * numKvHeads, headDim, headDim], row-major: what is stored is forward times the head. */
  readonly forward: Float32Array;
  /** The inverses, in the same order. */
  readonly inverse: Float32Array;
}

/**
 * Transforms and their inverses, which are computed in float64.
 *
 * @param forward [numHeads, headDim, headDim], row-major
 * @throws RangeError if the length is not that of whole matrices, or a matrix cannot be inverted
 */
export function headTransforms(headDim: number, forward: Float32Array): HeadTransforms {
  const size = headDim * headDim;
  if (forward.length % size !== 0) {
    throw new RangeError(`${forward.length} numbers are not whole matrices of ${headDim} x ${headDim}`);
  }
  const inverse = new Float32Array(forward.length);
  for (let start = 0; start < forward.length; start += size) {
    inverse.set(invertMatrix(Float64Array.from(forward.subarray(start, start + size)), headDim), start);
  }
  return { headDim, forward, inverse };
}

/**
 * out = M x in float64.
 *
 * @param matrices [numHeads, d, d], row-major, of which matrix `index` is taken
 * @param transposed multiplies by the transposed matrix
 */
export function multiplyHead(
  matrices: Float32Array,
  index: number,
  x: ArrayLike<number>,
  transposed: boolean,
): Float64Array {
  const d = x.length;
  const start = index * d * d;
  const out = new Float64Array(d);
  for (let row = 0; row < d; row++) {
    for (let col = 0; col < d; col++) {
      const at = transposed ? col * d + row : row * d + col;
      out[row] += matrices[start + at] * x[col];
    }
  }
  return out;
}

/**
 * The inverse of a square matrix, by Gauss-Jordan elimination with row pivots, in float64.
 *
 * @param matrix [size, size], row-major; is used up
 * @throws RangeError if it has none
 */
export function invertMatrix(matrix: Float64Array, size: number): Float64Array {
  const inverse = new Float64Array(size * size);
  for (let i = 0; i < size; i++) inverse[i * size + i] = 1;
  for (let col = 0; col < size; col++) {
    let pivot = col;
    for (let row = col + 1; row < size; row++) {
      if (Math.abs(matrix[row * size + col]) > Math.abs(matrix[pivot * size + col])) pivot = row;
    }
    const value = matrix[pivot * size + col];
    if (!(Math.abs(value) > 0 && Number.isFinite(value))) throw new RangeError('a matrix has no inverse');
    for (const m of [matrix, inverse]) {
      swapRows(m, size, pivot, col);
      scaleRow(m, size, col, 1 / value);
    }
    for (let row = 0; row < size; row++) {
      const factor = matrix[row * size + col];
      if (row === col || factor === 0) continue;
      for (const m of [matrix, inverse]) subtractRow(m, size, row, col, factor);
    }
  }
  return inverse;
}

function swapRows(m: Float64Array, size: number, a: number, b: number): void {
  if (a === b) return;
  const row = m.slice(a * size, (a + 1) * size);
  m.copyWithin(a * size, b * size, (b + 1) * size);
  m.set(row, b * size);
}

function scaleRow(m: Float64Array, size: number, row: number, factor: number): void {
  for (let i = row * size; i < (row + 1) * size; i++) m[i] *= factor;
}

function subtractRow(m: Float64Array, size: number, row: number, from: number, factor: number): void {
  for (let i = 0; i < size; i++) m[row * size + i] -= factor * m[from * size + i];
}
