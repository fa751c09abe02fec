import type { GpuDevice, GpuRange } from './gpu-device.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import type { Packing } from './weight-packing.ts';

/** Buffers that a shader needs to write to three outputs; WebGPU promises one less. */
const BUFFERS_OF_THREE = 9;
const MOST_OUTPUTS = 3;

/** Whether products with these matrices, in this order, can be one. */
export function canJoin(gpu: GpuDevice, matrices: readonly GpuMatrix[]): boolean {
  const [first, ...others] = matrices;
  if (others.length === 0 || matrices.length > MOST_OUTPUTS || new Set(matrices).size < matrices.length) return false;
  if (gpu.limits.maxStorageBuffersPerShaderStage < BUFFERS_OF_THREE) return false;
  const alignment = gpu.limits.minStorageBufferOffsetAlignment;
  const fits = (bytes: (matrix: GpuMatrix) => number): boolean => {
    const sizes = matrices.map(bytes);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    return total <= gpu.maxRangeBytes && sizes.every((size) => size % alignment === 0);
  };
  const isAlike = others.every(({ numCols, packing }) => numCols === first.numCols && areAlike(packing, first.packing));
  const areWhole = matrices.every(({ codes, scales }) => isWhole(codes) && isWhole(scales));
  return isAlike && areWhole && first.packing.codeBits < 16 && fits(codeBytes) && fits(scaleBytes);
}

/**
 * Lays matrices side by side, so that one dispatch multiplies with all of them: each alone is too small for a large GPU. They are parts of
 * the joined one from now on.
 */
export function joinMatrices(gpu: GpuDevice, matrices: readonly GpuMatrix[]): GpuMatrix {
  const [{ numCols, packing }] = matrices;
  const codes = copySideBySide(
    gpu,
    matrices.map((matrix) => ({ ...matrix.codes, numBytes: codeBytes(matrix) })),
  );
  const scales = copySideBySide(
    gpu,
    matrices.map((matrix) => ({ ...matrix.scales, numBytes: scaleBytes(matrix) })),
  );
  matrices.forEach((matrix, index) => {
    gpu.free(matrix.codes);
    gpu.free(matrix.scales);
    matrix.codes = codes.parts[index];
    matrix.scales = scales.parts[index];
  });
  const numRows = matrices.reduce((sum, matrix) => sum + matrix.numRows, 0);
  return { firstRow: 0, numRows, numCols, packing, codes: codes.whole, scales: scales.whole };
}

/** Copies vectors of float32 one after another. @param lengths of each */
export function joinVectors(gpu: GpuDevice, vectors: readonly GpuRange[], lengths: readonly number[]): GpuRange {
  return copySideBySide(
    gpu,
    vectors.map((range, index) => ({ ...range, numBytes: lengths[index] * 4 })),
  ).whole;
}

interface SideBySide {
  readonly whole: GpuRange;
  readonly parts: GpuRange[];
}

function copySideBySide(gpu: GpuDevice, ranges: readonly GpuRange[]): SideBySide {
  const numBytes = ranges.reduce((sum, range) => sum + range.numBytes, 0);
  const whole = gpu.allocate(numBytes, 'joined weights');
  const encoder = gpu.device.createCommandEncoder();
  let offset = 0;
  const parts = ranges.map((range) => {
    encoder.copyBufferToBuffer(range.buffer, range.offsetBytes, whole.buffer, offset, range.numBytes);
    offset += range.numBytes;
    return gpu.range(whole.buffer, offset - range.numBytes, range.numBytes);
  });
  gpu.device.queue.submit([encoder.finish()]);
  return { whole, parts };
}

function areAlike(a: Packing, b: Packing): boolean {
  return a.codeKind === b.codeKind && a.scaleKind === b.scaleKind;
}

function isWhole({ buffer, numBytes }: GpuRange): boolean {
  return numBytes === buffer.size;
}

function codeBytes({ numRows, numCols, packing }: GpuMatrix): number {
  return (numRows * numCols * packing.codeBits) / 8;
}

function scaleBytes({ numRows, numCols, packing }: GpuMatrix): number {
  return ((numRows * numCols) / 32) * packing.scaleBytes;
}
