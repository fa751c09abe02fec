import { SEGMENT_GROUPS } from './column-order.ts';
import type { GpuDevice } from './gpu-device.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import { BATCH_ROWS, GROUP, SCALE_BYTES } from './row-ranges.ts';

/** Columns of a segment, in all shaders. */
const SEGMENT_COLS = 32 * SEGMENT_GROUPS;
const MAX_THREADS = 32;

const DECODE_WORKGROUP = 128;
/**
 * Of products that norm their rows: larger workgroups, and no more of them than an H200 has processors, since each norms for itself. With 4,096 columns
 * and 28,672 features these took 41 us without a limit, 26 with twice as many workgroups, 24 with these, 30 with a dispatch for the norm.
 */
const NORMING_WORKGROUP = 256;
const MOST_NORMING_WORKGROUPS = 132;
/** Of what norm.wgsl needs beside the rows. */
const NORM_BYTES = 1024;

/**
 * Of matmul-batch.wgsl: rows and features of a thread, and threads where the device has so many and room for what they hand on. Measured on an H200 with the
 * shapes of Llama 1B and 8B: 16 rows take half the time of tiles.
 */
const BATCHES = {
  gpu: { rowsEach: BATCH_ROWS, featuresEach: 4, workgroup: 256 },
  /** SwiftShader takes longer to compile than to compute. */
  software: { rowsEach: BATCH_ROWS, featuresEach: 2, workgroup: 64 },
} as const;

/** Of a group of a row, as matmul-batch.wgsl has it: codes and scales. */
const BATCH_GROUP_BYTES = 48;

/**
 * Of many rows: features of a thread; threads of a slice that share a row, those that share a feature, and rows of a thread. With few features a GPU has
 * more to do where tiles are small: measured on an H200 with 64 rows.
 */
const TILE_THREADS = { featuresEach: 4, rowThreads: 8 } as const;
const TILES = {
  few: { ...TILE_THREADS, featureThreads: 8, rowsEach: 4 },
  many: { ...TILE_THREADS, featureThreads: 16, rowsEach: 8 },
} as const;
/** With so many features there are workgroups enough, so that each can be larger: it reads less. */
const MANY_FEATURES = 8192;
const MOST_SLICES = 4;
/** Of the tiles of a slice at most: five vectors, and scales with what goes with them. */
const TILE_BYTES = { feature: 5 * 16 + 2 * 8, row: 5 * 16 + 2 * 16 } as const;

/** A workgroup of matmul-prefill.wgsl. */
export type Tile = (typeof TILES)[keyof typeof TILES];

/** A workgroup of matmul-batch.wgsl. */
export interface Batch {
  readonly rowsEach: number;
  readonly featuresEach: number;
  readonly workgroup: number;
}

/** Workgroups of matmul-decode.wgsl or matmul-gated.wgsl. */
export interface FewSizes {
  readonly workgroup: number;
  readonly numWorkgroups: number;
}

/** How products are cut into workgroups and threads, by shape and device. */
export class MatmulSizes {
  readonly #limits: { readonly numThreads: number; readonly numBytes: number };
  readonly #isSoftware: boolean;

  constructor({ limits, isSoftware }: GpuDevice) {
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = limits;
    this.#limits = { numThreads: maxComputeInvocationsPerWorkgroup, numBytes: maxComputeWorkgroupStorageSize };
    this.#isSoftware = isSoftware;
  }

  /** In how many slices rows are summed up: one where there are features enough for a GPU, else as many as a workgroup has room for. */
  slices({ numCols, numRows }: GpuMatrix): number {
    let slices = numRows >= MANY_FEATURES ? 1 : MOST_SLICES;
    while (slices > 1 && (numCols % (SEGMENT_COLS * slices) > 0 || !this.#fits(slices, TILES.few))) slices /= 2;
    return slices;
  }

  tile(matrix: GpuMatrix): Tile {
    const isLarge = matrix.numRows >= MANY_FEATURES && this.#fits(this.slices(matrix), TILES.many);
    return isLarge ? TILES.many : TILES.few;
  }

  /** Fewer threads where there is no room for the sums of so many, one of each row, feature and thread, padded, beside a group of all segments. */
  batch({ numCols }: GpuMatrix): Batch {
    const batch = this.#isSoftware ? BATCHES.software : BATCHES.gpu;
    const threads = threadsPerFeature(numCols);
    const bytesPerThread = (batch.rowsEach * batch.featuresEach * 4 * (threads + 1)) / threads;
    const inputBytes = batch.rowsEach * threads * BATCH_GROUP_BYTES;
    const most = Math.min(this.#limits.numThreads, (this.#limits.numBytes - inputBytes) / bytesPerThread);
    let workgroup: number = batch.workgroup;
    while (workgroup > most) workgroup /= 2;
    return { ...batch, workgroup };
  }

  /** Whether a workgroup of few rows has room for sums of both sides of a gated product and what comes of them, and for rows that it norms. */
  hasRoomForFew({ numCols }: GpuMatrix, numRows: number, isNormed: boolean): boolean {
    const threads = threadsPerFeature(numCols);
    const workgroup = Math.max(NORMING_WORKGROUP, GROUP * threads);
    const sumsOfThread = Math.ceil(numCols / SEGMENT_COLS / threads) + 1 / threads;
    const sumBytes = workgroup * sumsOfThread * numRows * 2 * 4;
    const normBytes = isNormed ? NORM_BYTES + numRows * (numCols + (numCols / GROUP) * SCALE_BYTES) : 0;
    return workgroup <= this.#limits.numThreads && sumBytes + normBytes <= this.#limits.numBytes;
  }

  /** Whether a workgroup with so many slices has room on this device. */
  #fits(slices: number, { featureThreads, rowsEach, rowThreads, featuresEach }: Tile): boolean {
    const [rows, features] = [rowThreads * rowsEach, featuresEach * featureThreads];
    const tileBytes = slices * (features * TILE_BYTES.feature + rows * TILE_BYTES.row);
    const handedBytes = slices > 1 ? 4 * rows * features : 4;
    const numThreads = slices * rowThreads * featureThreads;
    return numThreads <= this.#limits.numThreads && tileBytes + handedBytes <= this.#limits.numBytes;
  }
}

/** Threads that share an output feature: one a segment, a power of two. */
export function threadsPerFeature(numCols: number): number {
  return Math.min(MAX_THREADS, 2 ** Math.ceil(Math.log2(Math.ceil(numCols / SEGMENT_COLS))));
}

/**
 * How a product of few rows is cut.
 *
 * @param numFeatures that workgroups go over: of a gated product those of one side
 * @param leastThreads of a workgroup
 */
export function sizesOfFew(numFeatures: number, threads: number, isNormed: boolean, leastThreads = 0): FewSizes {
  const isMany = numFeatures >= MOST_NORMING_WORKGROUPS * (NORMING_WORKGROUP / threads);
  const workgroup = Math.max(isNormed && isMany ? NORMING_WORKGROUP : DECODE_WORKGROUP, leastThreads);
  const numWorkgroups = Math.ceil(numFeatures / (workgroup / threads));
  return { workgroup, numWorkgroups: isNormed ? Math.min(numWorkgroups, MOST_NORMING_WORKGROUPS) : numWorkgroups };
}
