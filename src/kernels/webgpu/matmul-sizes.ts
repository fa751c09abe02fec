import { SEGMENT_GROUPS } from './column-order.ts';
import type { GpuDevice } from './gpu-device.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import { powerOfTwo } from './power-of-two.ts';
import { BATCH_ROWS, GROUP, SCALE_BYTES } from './row-ranges.ts';
import type { Packing } from './weight-packing.ts';

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

/** Of a thread of matmul-prefill.wgsl. */
const TILE_FEATURES_EACH = 4;
/**
 * Of many rows: threads of a team that share a row, those that share a feature, and rows of a thread. With few features a GPU has more to do where
 * tiles are small and many teams share one: the fastest of 27 shapes and numbers of teams on an H200 with 64 rows.
 */
const TILES = {
  few: { rowThreads: 8, featureThreads: 8, rowsEach: 4 },
  many: { rowThreads: 8, featureThreads: 16, rowsEach: 8 },
} as const;
/** With so many features there are workgroups enough, so that each can be larger: it reads less. */
const MANY_FEATURES = 8192;
const MOST_TEAMS = 8;
const MOST_BUFFERS = 2;
/** Groups of columns that a tile has. */
const TILE_GROUPS = 2;
/** Of arrays for what a type of weights does not have. */
const EMPTY_ARRAYS_BYTES = 32;

interface TileShape {
  readonly rowThreads: number;
  readonly featureThreads: number;
  readonly rowsEach: number;
}

/** A workgroup of matmul-prefill.wgsl. */
export interface Tile extends TileShape {
  readonly teams: number;
  /** Tiles of a team. */
  readonly buffers: number;
}

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

  /** Large where there are features enough; else with as many teams as there are segments, or room. */
  tile({ numRows, numCols, packing }: GpuMatrix): Tile {
    if (numRows >= MANY_FEATURES) {
      for (let buffers = MOST_BUFFERS; buffers > 0; buffers--) {
        const tile = { ...TILES.many, teams: 1, buffers };
        if (this.#fits(tile, packing)) return tile;
      }
    }
    let teams = Math.min(MOST_TEAMS, powerOfTwo(numCols / SEGMENT_COLS));
    while (teams > 1 && !this.#fits({ ...TILES.few, teams, buffers: 1 }, packing)) teams /= 2;
    return { ...TILES.few, teams, buffers: 1 };
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

  #fits(tile: Tile, packing: Packing): boolean {
    const numThreads = tile.teams * tile.rowThreads * tile.featureThreads;
    return numThreads <= this.#limits.numThreads && tileBytes(tile, packing) <= this.#limits.numBytes;
  }
}

/** Of a workgroup: tiles, or what teams hand on, which lies there, too; and scales. */
export function tileBytes(tile: Tile, { codeKind, scaleKind }: Packing): number {
  const { teams, buffers } = tile;
  const { rows, features } = sizeOfTile(tile);
  const rowVectors = 2 * TILE_GROUPS + 1;
  const featureVectors = (codeKind === 4 ? TILE_GROUPS : 2 * TILE_GROUPS) + 1;
  const vectors = buffers * (features * featureVectors + rows * rowVectors);
  const handedVectors = teams > 1 ? (rows * features) / TILE_FEATURES_EACH : 0;
  const featureScales = scaleKind === 0 ? 1 : 2;
  const rowScales = scaleKind === 1 ? 4 : 2;
  const scaleBytes = 4 * buffers * TILE_GROUPS * (features * featureScales + rows * rowScales);
  return teams * (16 * Math.max(vectors, handedVectors) + scaleBytes) + EMPTY_ARRAYS_BYTES;
}

/** Rows and features of a workgroup of many rows. */
export function sizeOfTile({ rowThreads, featureThreads, rowsEach }: TileShape): { rows: number; features: number } {
  return { rows: rowThreads * rowsEach, features: TILE_FEATURES_EACH * featureThreads };
}

/** Threads that share an output feature: one a segment, a power of two. */
export function threadsPerFeature(numCols: number): number {
  return Math.min(MAX_THREADS, powerOfTwo(numCols / SEGMENT_COLS));
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
