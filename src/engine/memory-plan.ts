import { f16PageLayout, sealedPageLayout } from '../cache/page-layout.ts';
import { numSealedPages } from '../cache/sequence-pages.ts';
import { KvantError } from '../errors.ts';
import type { MemoryUsage } from '../kernels/kernels.ts';
import type { Hyperparameters } from '../model/hyperparameters.ts';
import { parseKvFormat, type KvFormat } from '../quant/kv-format.ts';
import type { PageCounts } from './kv-memory.ts';
import { DEFAULT_KV_FORMAT, DEFAULT_MAX_CTX } from './defaults.ts';

/** What is to be loaded. */
export interface MemoryDemand {
  readonly hyperparameters: Hyperparameters;
  readonly format: KvFormat;
  readonly ctx: number;
  readonly maxSequences: number;
  /** Bytes of the weights as the backend keeps them. */
  readonly weightBytes: number;
}

/** A limit of memory, and what sets it: `the address space of wasm`, `this machine`. */
export interface MemoryLimit {
  readonly bytes: number;
  readonly name: string;
}

/** How an engine's memory is divided; nothing is allocated after loading. */
export interface MemoryPlan {
  /** Most rows (tokens) of a step. */
  readonly maxRows: number;
  readonly pageCounts: PageCounts;
  readonly memory: MemoryUsage;
}

/** Rows beyond this make a step long before they make it cheaper a token. */
const MAX_STEP_ROWS = 256;
/**
 * Buffers for reading weights, the plan of a step, scratch of threads: more than they take with any model that was
 * measured.
 */
const FIXED_SCRATCH_BYTES = 2 ** 24;
const FLOAT32_BYTES = 4;
const MIN_CTX_WORTH_NAMING = 64;

/**
 * The context to load with: what was asked for, or the model's own up to a default limit.
 *
 * @throws KvantError INVALID_OPTION if it is more than the model was trained for
 */
export function chooseCtx(ctx: number | undefined, contextLength: number): number {
  if (ctx === undefined) return Math.min(contextLength, DEFAULT_MAX_CTX);
  if (ctx <= contextLength) return ctx;
  const message = `option "ctx" must be at most ${count(contextLength)}, the model's context; got ${count(ctx)}`;
  throw new KvantError('INVALID_OPTION', message);
}

/**
 * Adds up what an engine needs before anything of it is allocated. Every sequence is given room for a whole context.
 *
 * @throws KvantError OUT_OF_MEMORY that tells what is needed, what there is, and what would fit
 */
export function planMemory(demand: MemoryDemand, limits: readonly MemoryLimit[]): MemoryPlan {
  const plan = addUp(demand);
  const needed = totalBytes(plan);
  const limit = limits.reduce((least, other) => (other.bytes < least.bytes ? other : least));
  if (needed > limit.bytes) throw outOfMemory(demand, plan, limit);
  return plan;
}

function addUp({ hyperparameters, format, ctx, maxSequences, weightBytes }: MemoryDemand): MemoryPlan {
  const { pageSize, numSinkTokens } = format;
  const maxRows = Math.max(maxSequences, Math.min(MAX_STEP_ROWS, maxSequences * (pageSize + numSinkTokens)));
  const pageCounts = {
    // One page even where the context never fills one: a kind of page that does not exist would need a case of its own.
    sealed: Math.max(1, maxSequences * numSealedPages(format, ctx)),
    open: maxSequences,
  };
  const openBytes = f16PageLayout(pageSize, hyperparameters).pageBytes;
  const sinkBytes = numSinkTokens > 0 ? f16PageLayout(numSinkTokens, hyperparameters).pageBytes : 0;
  const sealedBytes = sealedPageLayout(format, hyperparameters).pageBytes;
  const pageBytes = pageCounts.sealed * sealedBytes + pageCounts.open * (openBytes + sinkBytes);
  const scratchBytes = FIXED_SCRATCH_BYTES + maxRows * rowScratchBytes(hyperparameters);
  return { maxRows, pageCounts, memory: { weightBytes, pageBytes, scratchBytes } };
}

/** Activations and operands that a row of a step has, operands counted as if they were float32 too. */
function rowScratchBytes(hyperparameters: Hyperparameters): number {
  const { embeddingLength, feedForwardLength, numHeads, numKvHeads, headDim, vocabularySize } = hyperparameters;
  const numStream = 4 * embeddingLength;
  const numAttention = 2 * (numHeads + numKvHeads) * headDim;
  const numFeedForward = 3 * feedForwardLength;
  return FLOAT32_BYTES * (numStream + numAttention + numFeedForward + vocabularySize);
}

function totalBytes({ memory }: MemoryPlan): number {
  return memory.weightBytes + memory.pageBytes + memory.scratchBytes;
}

function outOfMemory(demand: MemoryDemand, plan: MemoryPlan, limit: MemoryLimit): KvantError {
  const { ctx, format, maxSequences } = demand;
  const { weightBytes, pageBytes, scratchBytes } = plan.memory;
  const sequences = maxSequences === 1 ? '' : ` for each of ${maxSequences} sequences`;
  const needs =
    `${gigabytes(totalBytes(plan))} are needed (weights ${gigabytes(weightBytes)}, KV cache ${gigabytes(pageBytes)}, ` +
    `scratch ${gigabytes(scratchBytes)}) for a context of ${count(ctx)} tokens in ${format.name}${sequences}`;
  const has = `but ${limit.name} has ${gigabytes(limit.bytes)} available`;
  return new KvantError('OUT_OF_MEMORY', `not enough memory: ${needs}, ${has}; ${advice(demand, limit)}`);
}

/** What would fit: a shorter context, or the default format where it is smaller than the one asked for. */
function advice(demand: MemoryDemand, limit: MemoryLimit): string {
  const fixes: string[] = [];
  const ctx = largestCtx(demand, limit);
  if (ctx >= MIN_CTX_WORTH_NAMING) fixes.push(`lower ctx to ${count(ctx)}`);
  const smallFormat = parseKvFormat(DEFAULT_KV_FORMAT, demand.hyperparameters.headDim);
  const smallDemand = { ...demand, format: smallFormat };
  const isSmaller = addUp(smallDemand).memory.pageBytes < addUp(demand).memory.pageBytes;
  if (isSmaller) {
    const smallCtx = largestCtx(smallDemand, limit);
    if (smallCtx >= demand.ctx) fixes.push(`use kv ${smallFormat.name}`);
    else if (smallCtx > ctx && smallCtx >= MIN_CTX_WORTH_NAMING) {
      fixes.push(`use kv ${smallFormat.name} with ctx ${count(smallCtx)}`);
    }
  }
  if (demand.maxSequences > 1) fixes.push('lower maxSequences');
  return fixes.length > 0 ? fixes.join(', or ') : 'use a smaller model, or a file of it with fewer bits a weight';
}

/** Longest context, up to the one asked for, that fits; 0 if none does. */
function largestCtx(demand: MemoryDemand, limit: MemoryLimit): number {
  const fits = (ctx: number): boolean => totalBytes(addUp({ ...demand, ctx })) <= limit.bytes;
  let [low, high] = [0, demand.ctx + 1];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
