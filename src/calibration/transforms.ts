import { inverse, Matrix } from 'ml-matrix';
import type { HeadTransforms } from '../quant/head-transform.ts';

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
  const inverses = new Float32Array(forward.length);
  for (let start = 0; start < forward.length; start += size) {
    const matrix = Matrix.from1DArray(headDim, headDim, forward.subarray(start, start + size));
    inverses.set(invert(matrix).to1DArray(), start);
  }
  return { headDim, forward, inverse: inverses };
}

function invert(matrix: Matrix): Matrix {
  try {
    return inverse(matrix);
  } catch (cause) {
    throw new RangeError('a matrix has no inverse', { cause });
  }
}
