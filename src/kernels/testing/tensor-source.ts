import type { TensorSource } from '../kernels.ts';
import type { WeightType } from '../weight-types.ts';
import { rowBytes } from '../weight-types.ts';

/** A tensor whose bytes lie in memory. */
export function tensorSource(type: WeightType, numRows: number, numCols: number, bytes: Uint8Array): TensorSource {
  const expected = numRows * rowBytes(type, numCols);
  if (bytes.length !== expected) throw new RangeError(`${bytes.length} bytes for a tensor of ${expected}`);
  return {
    name: `test.${type}`,
    type,
    numRows,
    numCols,
    async read(into, offsetBytes) {
      if (offsetBytes + into.length > bytes.length) throw new RangeError('read beyond the tensor');
      into.set(bytes.subarray(offsetBytes, offsetBytes + into.length));
    },
  };
}

/** A float32 tensor of given values. */
export function f32Tensor(numRows: number, numCols: number, values: ArrayLike<number>): TensorSource {
  const floats = Float32Array.from(values);
  return tensorSource('F32', numRows, numCols, new Uint8Array(floats.buffer));
}
