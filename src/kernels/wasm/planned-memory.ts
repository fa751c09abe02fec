import type { KvShape } from '../../cache/page-layout.ts';
import type { KvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import { rowBytes, type WeightType } from '../weight-types.ts';
import {
  ATTN_BYTES,
  LAYER_BYTES,
  COMMAND_BYTES,
  CONTROL_BYTES,
  ROW_BYTES,
  SEGMENT_BYTES,
  STRIP_ROWS,
  UNIT_BYTES,
} from './assembly/commands.ts';
import { MAX_SPLIT_ROWS, SPLIT_TOKENS, stateBytes, threadScratchBytes } from './attention-plan.ts';
import { HeadMatrices, headMatricesOf } from './head-matrices.ts';

/**
 * What the wasm backend is going to take, told before it is made. `planned-memory.test.ts` holds these sums against what the
 * backend then allocates, and against the sizes that the kernels themselves state.
 */

/** What is reserved is addresses; only what is ever written to takes memory of the machine. */
export interface PlannedBytes {
  readonly reserved: number;
  /** With every sequence's context full, and logits wanted of one row of each. */
  readonly resident: number;
}

/** The module's own first page. */
const MODULE_BYTES = 65_536;
const NUM_COMMANDS = 8192;
const STAGING_BYTES = 1_000_000;
const WORD_BYTES = 4;
/** int8 activations: a group of 32 has 16 bytes of scales and sums (assembly/row-quantize.ts). */
const OPERAND_GROUP = 32;
const OPERAND_GROUP_BYTES = 16;

/** Bits of a code as strips keep it, where that is more than the file's: see assembly/packed-weights.ts. */
const WIDENED_BITS: Partial<Record<WeightType, number>> = { Q5_0: 3, Q5_1: 3, Q5_K: 3, Q6_K: 2 };
const BITS_PER_BYTE = 8;
/** Q4_K and Q5_K keep the eight 6-bit scales and minimums of a super-block in a byte each: 16 instead of 12. */
const WIDENED_SCALES: Partial<Record<WeightType, number>> = { Q4_K: 4, Q5_K: 4 };
const SUPER_BLOCK = 256;

/** Bytes of a matrix as strips of 16 rows keep it; the last strip is padded. @throws RangeError as `rowBytes` */
export function packedMatrixBytes(type: WeightType, numRows: number, numCols: number): number {
  const codeBytes = (numCols * (WIDENED_BITS[type] ?? 0)) / BITS_PER_BYTE;
  const scaleBytes = (numCols / SUPER_BLOCK) * (WIDENED_SCALES[type] ?? 0);
  const stripRows = Math.ceil(numRows / STRIP_ROWS) * STRIP_ROWS;
  return stripRows * (rowBytes(type, numCols) + codeBytes + scaleBytes);
}

/** Bytes of a row of an operand: floats, and int8 with scales where the width is whole groups. */
export function operandRowBytes(width: number): number {
  const quantized = width % OPERAND_GROUP === 0 ? width + (width / OPERAND_GROUP) * OPERAND_GROUP_BYTES : 0;
  return width * WORD_BYTES + quantized;
}

/**
 * All that the backend allocates beside weights, pages, activations and operands, for the format of `config`. Every other one that is
 * added takes `addedFormatBytes`.
 *
 * @param numSequences that run at a time, each with a row
 * @param numDrafts rows of a step beside those; a prompt that ends in up to MAX_DECODE_ROWS rows takes as much as so many drafts
 */
export function wasmScratchBytes(config: KernelsConfig, numSequences: number, numDrafts = 0): PlannedBytes {
  const { maxRows, maxContext, shape, numHeads, format, numThreads } = config;
  const maxPages = Math.ceil(maxContext / format.pageSize);
  const maxParts = Math.ceil(maxPages / (SPLIT_TOKENS / format.pageSize)) + 1;
  // A row of a decode is cut into all its parts, one of a prefill into none; only a batch of decodes can use all parts.
  const reserved = Math.min(maxRows, MAX_SPLIT_ROWS);
  const partRows = { reserved, used: Math.min(numSequences + numDrafts, MAX_SPLIT_ROWS) };
  const partBytes = shape.numKvHeads * UNIT_BYTES + numHeads * stateBytes(shape.headDim);
  const fixed =
    MODULE_BYTES +
    CONTROL_BYTES +
    STAGING_BYTES +
    addedFormatBytes(format, shape, []) +
    numThreads * threadScratchBytes(config) +
    maxRows * (ROW_BYTES + SEGMENT_BYTES + 2 * WORD_BYTES + 2 * WORD_BYTES * config.ropeFrequencies.length + partBytes);
  return {
    reserved:
      fixed + NUM_COMMANDS * COMMAND_BYTES + maxRows * maxPages * WORD_BYTES + partRows.reserved * maxParts * partBytes,
    resident: fixed + numSequences * maxPages * WORD_BYTES + partRows.used * maxParts * partBytes,
  };
}

/**
 * What `addFormat` allocates: the parameters of attention, where layers have their tiles, and what a calibration multiplies heads with, but
 * for matrices that the formats before have too.
 */
export function addedFormatBytes(format: KvFormat, shape: KvShape, alreadyAdded: readonly KvFormat[]): number {
  if (alreadyAdded.includes(format)) return 0;
  const written = new HeadMatrices<true>();
  alreadyAdded.forEach((each) => newMatrixBytes(each, written));
  return ATTN_BYTES + shape.numLayers * LAYER_BYTES + newMatrixBytes(format, written);
}

function newMatrixBytes(format: KvFormat, written: HeadMatrices<true>): number {
  let numBytes = 0;
  for (const list of Object.values(headMatricesOf(format))) {
    if (!list || written.find(list)) continue;
    written.add(list, true);
    numBytes += list.values.byteLength;
  }
  return numBytes;
}
