import { KvantError } from '../../errors.ts';
import type { RowOrder, TensorSource } from '../kernels.ts';
import { rowBytes, WEIGHT_TYPES } from '../weight-types.ts';
import { dequantize } from './dequantize.ts';
import { checkRowOrder, destinationRow } from '../row-order.ts';

/** A weight matrix as float32, [numRows, numCols]. */
export interface WeightMatrix {
  readonly numRows: number;
  readonly numCols: number;
  readonly values: Float32Array;
}

/** Bytes of a file that are read at a time. */
const CHUNK_BYTES = 1 << 20;

/** Reads and dequantizes a matrix. @throws KvantError OUT_OF_MEMORY, or what the source throws */
export async function readMatrix(source: TensorSource, order: RowOrder): Promise<WeightMatrix> {
  const { type, numRows, numCols } = source;
  checkRowOrder(order, numRows);
  const values = allocate(source, numRows * numCols);
  const bytesPerRow = rowBytes(type, numCols);
  const rowsPerChunk = Math.max(1, Math.min(numRows, Math.floor(CHUNK_BYTES / bytesPerRow)));
  const chunk = new Uint8Array(rowsPerChunk * bytesPerRow);
  for (let first = 0; first < numRows; first += rowsPerChunk) {
    const numChunkRows = Math.min(rowsPerChunk, numRows - first);
    await source.read(chunk.subarray(0, numChunkRows * bytesPerRow), first * bytesPerRow);
    for (let i = 0; i < numChunkRows; i++) {
      const start = destinationRow(order, first + i) * numCols;
      const bytes = chunk.subarray(i * bytesPerRow, (i + 1) * bytesPerRow);
      dequantize(type, bytes, values.subarray(start, start + numCols));
    }
  }
  return { numRows, numCols, values };
}

/**
 * Reads a vector, its elements put into the order of the rows that they belong to.
 *
 * @throws KvantError MODEL_UNSUPPORTED if it is quantized, OUT_OF_MEMORY, or what the source throws
 */
export async function readVector(source: TensorSource, order: RowOrder): Promise<Float32Array> {
  const { name, type, numRows, numCols } = source;
  if (WEIGHT_TYPES[type].blockElements !== 1) {
    throw new KvantError('MODEL_UNSUPPORTED', `${name}: a vector of type ${type}: it must be F32, F16 or BF16`);
  }
  if (numRows !== 1) throw new RangeError(`${name}: a vector of ${numRows} rows`);
  checkRowOrder(order, numCols);
  const bytes = new Uint8Array(rowBytes(type, numCols));
  await source.read(bytes, 0);
  const inFileOrder = new Float32Array(numCols);
  dequantize(type, bytes, inFileOrder);
  const values = allocate(source, numCols);
  inFileOrder.forEach((value, i) => {
    values[destinationRow(order, i)] = value;
  });
  return values;
}

function allocate({ name }: TensorSource, length: number): Float32Array {
  try {
    return new Float32Array(length);
  } catch (cause) {
    const need = `the reference backend keeps weights as float32, ${4 * length} bytes; use wasm`;
    const message = `no memory for ${name}: ${need}`;
    throw new KvantError('OUT_OF_MEMORY', message, { cause });
  }
}
