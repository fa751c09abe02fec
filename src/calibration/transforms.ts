import { inverse, Matrix } from 'ml-matrix';
import type { HeadTransforms } from '../quant/head-transform.ts';

/**
 * Transforms and their inverses, which are computed in float64.
 *
 * @param forward [numHeads, headDim, headDim], row-major
 * @throws RangeError if the length is not that of whole matrices, or a matrix is not finite or cannot be inverted in float32
 */
export function headTransforms(headDim: number, forward: Float32Array): HeadTransforms {
  const size = headDim * headDim;
  if (forward.length % size !== 0) {
    throw new RangeError(`${forward.length} numbers are not whole matrices of ${headDim} x ${headDim}`);
  }
  const inverses = new Float32Array(forward.length);
  for (let start = 0; start < forward.length; start += size) {
    const matrix = forward.subarray(start, start + size);
    if (!matrix.every(Number.isFinite)) throw new RangeError(`matrix ${start / size} holds NaN or infinity`);
    inverses.set(invert(Matrix.from1DArray(headDim, headDim, matrix)), start);
  }
  return { headDim, forward, inverse: inverses };
}

function invert(matrix: Matrix): Float32Array {
  const result = Float32Array.from(inverseOf(matrix).to1DArray());
  if (!result.every(Number.isFinite)) throw new RangeError('a matrix has no inverse in float32');
  return result;
}

function inverseOf(matrix: Matrix): Matrix {
  try {
    return inverse(matrix);
  } catch (cause) {
    throw new RangeError('a matrix has no inverse', { cause });
  }
}
