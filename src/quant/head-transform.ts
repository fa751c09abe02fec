/** What heads are multiplied by before they are stored: a matrix for each layer and KV head. */
export interface HeadTransforms {
  readonly headDim: number;
  /** [numLayers * numKvHeads, headDim, headDim], row-major: what is stored is forward times the head. */
  readonly forward: Float32Array;
  /** The inverses, in the same order. */
  readonly inverse: Float32Array;
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
