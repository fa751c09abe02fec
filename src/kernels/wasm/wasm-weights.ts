import { KvantError } from '../../errors.ts';
import { f16Value } from '../../quant/f16.ts';
import type { RowOrder, TensorSource } from '../kernels.ts';
import { checkRowOrder, destinationRow } from '../row-order.ts';
import { rowBytes, WEIGHT_TYPES } from '../weight-types.ts';
import { OP_REPACK, STRIP_ROWS } from './assembly/commands.ts';
import type { Program } from './program.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Tensors are read in pieces of about this size. */
const STAGING_BYTES = 1_000_000;

export interface PackedMatrix {
  readonly address: number;
  /** ggml's number of the type. */
  readonly type: number;
  readonly numBytes: number;
}

/** Reads tensors piece by piece into a staging area, from where the kernel threads repack them. */
export class WasmWeights {
  readonly #memory: SharedMemory;
  readonly #program: Program;
  readonly #run: () => void;
  readonly #stripBytes: (type: number, numCols: number) => number;
  #staging: { readonly address: number; readonly numBytes: number } | undefined;

  constructor(
    memory: SharedMemory,
    program: Program,
    run: () => void,
    stripBytes: (type: number, numCols: number) => number,
  ) {
    this.#memory = memory;
    this.#program = program;
    this.#run = run;
    this.#stripBytes = stripBytes;
  }

  async loadMatrix(source: TensorSource, rowOrder: RowOrder): Promise<PackedMatrix> {
    const { name, type, numRows, numCols } = source;
    checkRowOrder(rowOrder, numRows);
    const isFloat = type === 'F32' || type === 'F16' || type === 'BF16';
    if (isFloat && numCols % 4 !== 0) {
      const message = `tensor "${name}" has ${numCols} columns of ${type}: the wasm kernels need a multiple of 4`;
      throw new KvantError('MODEL_UNSUPPORTED', message);
    }
    const typeId = WEIGHT_TYPES[type].id;
    const bytes = this.#stripBytes(typeId, numCols);
    const numBytes = Math.ceil(numRows / STRIP_ROWS) * bytes;
    const address = this.#memory.allocate(numBytes, `tensor "${name}"`);
    const pieceRows = this.#rowsOfPiece(source, rowOrder);
    const staging = this.#stagingOf(Math.min(pieceRows, numRows) * rowBytes(type, numCols));
    for (let row = 0; row < numRows; row += pieceRows) {
      const count = Math.min(pieceRows, numRows - row);
      const length = count * rowBytes(type, numCols);
      await source.read(this.#memory.bytes(staging, length), row * rowBytes(type, numCols));
      this.#repack(typeId, staging, address + (row / STRIP_ROWS) * bytes, numCols, count, rowOrder);
    }
    return { address, type: typeId, numBytes };
  }

  /** Whole strips, and whole heads where their rows are put in another order. */
  #rowsOfPiece({ type, numCols }: TensorSource, rowOrder: RowOrder): number {
    const unit = rowOrder.kind === 'file' ? STRIP_ROWS : rowOrder.headDim;
    return Math.max(unit, Math.floor(STAGING_BYTES / rowBytes(type, numCols) / unit) * unit);
  }

  #stagingOf(numBytes: number): number {
    if (!this.#staging || this.#staging.numBytes < numBytes) {
      const size = Math.max(numBytes, STAGING_BYTES);
      this.#staging = { address: this.#memory.allocate(size, 'reading weights'), numBytes: size };
    }
    return this.#staging.address;
  }

  #repack(type: number, from: number, to: number, numCols: number, numRows: number, order: RowOrder): void {
    const [headDim, ropeDim] = order.kind === 'file' ? [1, 0] : [order.headDim, order.ropeDim];
    this.#program.clear();
    const numItems = Math.ceil(numRows / STRIP_ROWS);
    const args = [type, from, to, numCols, numRows, headDim, ropeDim];
    this.#program.add({ operation: OP_REPACK, numItems, chunk: 4, barrier: true, args });
    this.#run();
  }

  /** Reads a vector of F32, F16 or BF16. @throws KvantError MODEL_UNSUPPORTED for another type */
  async loadVector(source: TensorSource, rowOrder: RowOrder): Promise<{ address: number; length: number }> {
    const { name, type, numRows, numCols } = source;
    const length = numRows * numCols;
    checkRowOrder(rowOrder, length);
    if (type !== 'F32' && type !== 'F16' && type !== 'BF16') {
      const message = `vector "${name}" is of type ${type}; vectors must be F32, F16 or BF16`;
      throw new KvantError('MODEL_UNSUPPORTED', message);
    }
    const bytes = new Uint8Array(length * WEIGHT_TYPES[type].blockBytes);
    await source.read(bytes, 0);
    const address = this.#memory.allocate(length * 4, `vector "${name}"`);
    const values = this.#memory.floats(address, length);
    decodeFloats(bytes, type).forEach((value, row) => (values[destinationRow(rowOrder, row)] = value));
    return { address, length };
  }
}

function decodeFloats(bytes: Uint8Array, type: 'F32' | 'F16' | 'BF16'): Float32Array {
  if (type === 'F32') return new Float32Array(bytes.buffer);
  const halves = new Uint16Array(bytes.buffer);
  if (type === 'F16') return Float32Array.from(halves, f16Value);
  return new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer);
}
