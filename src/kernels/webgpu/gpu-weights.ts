import { KvantError } from '../../errors.ts';
import type { RowOrder, TensorSource } from '../kernels.ts';
import { readVector } from '../reference/weights.ts';
import { checkRowOrder, destinationRow } from '../row-order.ts';
import { rowBytes } from '../weight-types.ts';
import { slotsOf } from './column-order.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import { ROW_PACKERS } from './row-packers.ts';
import { packingOf, type Packing } from './weight-packing.ts';

/** A matrix, or some of its rows, as shaders/weights.wgsl reads it. It moves when it is joined with others (joined-matrices.ts). */
export interface GpuMatrix {
  /** Of the whole matrix: where these begin. */
  readonly firstRow: number;
  readonly numRows: number;
  readonly numCols: number;
  readonly packing: Packing;
  codes: GpuRange;
  scales: GpuRange;
}

/** Bytes of a file that are read and packed at a time. */
const CHUNK_BYTES = 4_000_000;

/**
 * Reads a matrix and packs it, in pieces of about as many rows each where the device does not bind it whole.
 *
 * @throws KvantError OUT_OF_MEMORY, MODEL_UNSUPPORTED, or what the source throws
 */
export async function loadGpuMatrix(gpu: GpuDevice, source: TensorSource, order: RowOrder): Promise<GpuMatrix[]> {
  const { name, numRows, numCols } = source;
  checkRowOrder(order, numRows);
  if (numCols % 16 !== 0) {
    const message = `tensor "${name}" has ${numCols} columns: the webgpu backend needs a multiple of 16; use --backend wasm`;
    throw new KvantError('MODEL_UNSUPPORTED', message);
  }
  const pieceRows = pieceRowsOf(gpu, source, unitOf(order));
  const pieces: GpuMatrix[] = [];
  for (let first = 0; first < numRows; first += pieceRows) {
    pieces.push(await loadRows(gpu, source, order, first, Math.min(pieceRows, numRows - first)));
  }
  return pieces;
}

/** Rows of a piece: all, if the device binds them, or about as many in each, whole units. */
function pieceRowsOf(gpu: GpuDevice, source: TensorSource, unit: number): number {
  const { codeRowBytes, scaleRowBytes } = packedRowBytes(source);
  // Memory comes in multiples of 16 bytes.
  const mostRows = Math.floor((gpu.maxRangeBytes - (gpu.maxRangeBytes % 16)) / Math.max(codeRowBytes, scaleRowBytes));
  if (source.numRows <= mostRows) return source.numRows;
  const mostUnits = Math.max(1, Math.floor(mostRows / unit));
  const numPieces = Math.ceil(source.numRows / (mostUnits * unit));
  return Math.ceil(source.numRows / numPieces / unit) * unit;
}

async function loadRows(
  gpu: GpuDevice,
  source: TensorSource,
  order: RowOrder,
  firstRow: number,
  numRows: number,
): Promise<GpuMatrix> {
  const { name, type, numCols } = source;
  const { codeRowBytes, scaleRowBytes } = packedRowBytes(source);
  const codes = gpu.allocate(numRows * codeRowBytes, `tensor "${name}"`);
  const scales = gpu.allocate(numRows * scaleRowBytes, `the scales of tensor "${name}"`);
  const bytesPerRow = rowBytes(type, numCols);
  const unit = unitOf(order);
  const chunkRows = Math.max(unit, Math.floor(CHUNK_BYTES / bytesPerRow / unit) * unit);
  for (let first = 0; first < numRows; first += chunkRows) {
    const count = Math.min(chunkRows, numRows - first);
    const bytes = new Uint8Array(count * bytesPerRow);
    await source.read(bytes, (firstRow + first) * bytesPerRow);
    const packed = packRows(source, order, bytes, count);
    gpu.write(codes, packed.codes, first * codeRowBytes);
    if (packed.scales.length > 0) gpu.write(scales, packed.scales, first * scaleRowBytes);
  }
  await gpu.check();
  return { firstRow, numRows, numCols, packing: packingOf(type), codes, scales };
}

/** Rows that are read together: whole words of scales, and whole heads. */
function unitOf(order: RowOrder): number {
  return order.kind === 'file' ? 2 : 2 * order.headDim;
}

function packedRowBytes({ type, numCols }: TensorSource): { codeRowBytes: number; scaleRowBytes: number } {
  const { codeBits, scaleBytes } = packingOf(type);
  return { codeRowBytes: (numCols * codeBits) / 8, scaleRowBytes: (numCols / 32) * scaleBytes };
}

interface PackedRows {
  readonly codes: Uint8Array;
  readonly scales: Uint8Array;
}

/** Packs rows, which start at a whole head. Lengths are whole words. */
function packRows(source: TensorSource, order: RowOrder, bytes: Uint8Array, count: number): PackedRows {
  const { type, numCols } = source;
  const { codeRowBytes, scaleRowBytes } = packedRowBytes(source);
  const codes = new Uint8Array(wholeWords(count * codeRowBytes));
  const scales = new Uint8Array(wholeWords(count * scaleRowBytes));
  const bytesPerRow = rowBytes(type, numCols);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const pack = ROW_PACKERS[type];
  const slots = slotsOf(Math.floor(numCols / 32));
  const target = {
    codes: new Uint32Array(codes.buffer),
    halves: new Uint16Array(scales.buffer),
    pairs: new Float32Array(scales.buffer),
    slots,
  };
  for (let row = 0; row < count; row++) {
    const [from, to] = [row * bytesPerRow, destinationRow(order, row)];
    if (pack) pack(view, from, target, to * slots.length);
    else codes.set(bytes.subarray(from, from + bytesPerRow), to * codeRowBytes);
  }
  return { codes, scales };
}

function wholeWords(numBytes: number): number {
  return Math.ceil(numBytes / 4) * 4;
}

/** Reads a vector as float32. @throws KvantError as `readVector`, OUT_OF_MEMORY */
export async function loadGpuVector(gpu: GpuDevice, source: TensorSource, order: RowOrder): Promise<GpuRange> {
  const values = await readVector(source, order);
  const range = gpu.allocate(values.byteLength, `vector "${source.name}"`);
  gpu.write(range, values);
  await gpu.check();
  return range;
}
