import type { TensorSource } from '../kernels/kernels.ts';
import { randomStream } from './random-stream.ts';

/** [numRows, numCols] of F32 with a mean of 0, the same for the same seed. */
export function randomTensor(numRows: number, numCols: number, seed: number, deviation = 1): TensorSource {
  const random = randomStream(seed);
  // The sum of three uniform values is round enough.
  const uniform = (): number => 2 * random() - 1;
  return floatTensor(
    numRows,
    numCols,
    new Float32Array(numRows * numCols).map(() => deviation * (uniform() + uniform() + uniform())),
  );
}

/** [1, length] of F32, all ones. */
export function onesVector(length: number): TensorSource {
  return floatTensor(1, length, new Float32Array(length).fill(1));
}

function floatTensor(numRows: number, numCols: number, values: Float32Array): TensorSource {
  const bytes = new Uint8Array(values.buffer);
  return {
    name: 'bench',
    type: 'F32',
    numRows,
    numCols,
    async read(into, offsetBytes) {
      into.set(bytes.subarray(offsetBytes, offsetBytes + into.length));
    },
  };
}
