import { isCalibrated, type Calibration } from '../calibration/calibration.ts';
import { KvantError } from '../errors.ts';
import type { MemoryUsage } from '../kernels/kernels.ts';
import type { Hyperparameters } from '../model/hyperparameters.ts';
import { ropeFrequencies } from '../model/rope.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import { auditBytes } from './audit-plan.ts';
import { DEFAULT_MAX_CTX, MAX_SEQUENCES } from './defaults.ts';
import { sequenceBytes } from './kv-memory.ts';
import type { EngineLoadOptions } from './protocol.ts';
import { scratchBytes } from './scratch-memory.ts';

/**
 * The one place that adds up what an engine takes. Loading refuses by these sums before anything is allocated, `kv: 'auto'` chooses by
 * them, and `kvant plan` prints them.
 */

/** What is to be loaded. */
export interface MemoryDemand {
  readonly hyperparameters: Hyperparameters;
  readonly format: KvFormat;
  /** What other formats would be read with, if they were taken instead. */
  readonly calibration: Calibration | undefined;
  /** What the process takes to read the calibration and to keep it, if the format uses it. */
  readonly calibrationBytes: number;
  readonly ctx: number;
  readonly maxSequences: number;
  /** Size of the arena of pages; undefined: room for a whole context of every sequence. */
  readonly kvMemoryBytes?: number | undefined;
  /** Bytes of swapped pages that are kept in memory. */
  readonly swapBytes?: number | undefined;
  /** Whether requests are audited, which takes pages of their own. */
  readonly isAudited?: boolean | undefined;
  readonly backend: EngineLoadOptions['backend'];
  readonly numThreads: number;
  /** Bytes of the weights as the backend keeps them. */
  readonly weightBytes: number;
  /** What the process takes beside the backend: its runtime, threads and the vocabulary. */
  readonly runtimeBytes: number;
  /** A second model that drafts, on a backend of its own. */
  readonly draft?: DraftDemand | undefined;
}

/** What is to be loaded of a draft model; all else is as the target's, but for a context that it does not have. */
export interface DraftDemand {
  readonly hyperparameters: Hyperparameters;
  readonly format: KvFormat;
  readonly weightBytes: number;
  /** What its threads add to the process. */
  readonly runtimeBytes: number;
}

/** What the memory of a process beside its backend depends on. */
export interface RuntimeDemand {
  readonly backend: EngineLoadOptions['backend'];
  readonly numThreads: number;
  readonly vocabularySize: number;
  /** As GGUF calls it: `gpt2`, `llama`. */
  readonly tokenizerModel: string;
}

/** A limit of memory, and what sets it: `the address space of WebAssembly`, `this machine`. */
export interface MemoryLimit {
  readonly bytes: number;
  readonly name: string;
  /** Of the backend alone, touched or not, or all that the process has resident. */
  readonly of: 'addresses' | 'process';
}

/** How an engine's memory is divided; nothing is allocated after loading. */
export interface MemoryPlan {
  /** Most rows (tokens) of a step. */
  readonly maxRows: number;
  /** Size of the arena of pages. */
  readonly arenaBytes: number;
  /** Size of another arena, for audits; 0 without them. Both are in `memory.pageBytes`. */
  readonly auditBytes: number;
  /** Resident once every sequence's context is full. */
  readonly memory: MemoryUsage;
  readonly runtimeBytes: number;
  /** Resident, all told. */
  readonly totalBytes: number;
  /** Addresses that the backend asks for; of two backends, the one that asks for more. */
  readonly reservedBytes: number;
  /** The draft model's part; its memory is in the sums. */
  readonly draft?: DraftPlan;
}

/** How a draft model's memory is divided. */
export interface DraftPlan extends Pick<MemoryPlan, 'maxRows' | 'arenaBytes'> {
  readonly format: KvFormat;
  readonly ctx: number;
}

/** Rows beyond this make a step long before they make it cheaper a token. */
const MAX_STEP_ROWS = 256;

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

/** Adds up what an engine needs. Every sequence is given room for a whole context, in the draft model too. */
export function addUpMemory(demand: MemoryDemand): MemoryPlan {
  const own = addUpModel(demand);
  if (!demand.draft) return own;
  const { hyperparameters, format } = demand.draft;
  const ctx = Math.min(demand.ctx, hyperparameters.contextLength);
  const draft = addUpModel({
    ...demand,
    ...demand.draft,
    ctx,
    kvMemoryBytes: undefined,
    swapBytes: 0,
    isAudited: false,
  });
  return {
    ...own,
    memory: addUsage(own.memory, draft.memory),
    runtimeBytes: own.runtimeBytes + draft.runtimeBytes,
    totalBytes: own.totalBytes + draft.totalBytes,
    reservedBytes: Math.max(own.reservedBytes, draft.reservedBytes),
    draft: { maxRows: draft.maxRows, arenaBytes: draft.arenaBytes, format, ctx },
  };
}

/** What two backends take together. */
export function addUsage(a: MemoryUsage, b: MemoryUsage): MemoryUsage {
  return {
    weightBytes: a.weightBytes + b.weightBytes,
    pageBytes: a.pageBytes + b.pageBytes,
    scratchBytes: a.scratchBytes + b.scratchBytes,
  };
}

function addUpModel(demand: MemoryDemand): MemoryPlan {
  const { hyperparameters, format, ctx, maxSequences, weightBytes, backend, numThreads } = demand;
  const calibrationBytes = isCalibrated(format) ? demand.calibrationBytes : 0;
  const runtimeBytes = demand.runtimeBytes + calibrationBytes + (demand.swapBytes ?? 0);
  const { pageSize, numSinkTokens } = format;
  const maxRows = Math.max(maxSequences, Math.min(MAX_STEP_ROWS, maxSequences * (pageSize + numSinkTokens)));
  const arenaBytes = demand.kvMemoryBytes ?? maxSequences * sequenceBytes(format, hyperparameters, ctx);
  const auditArenaBytes = demand.isAudited ? auditBytes(format, hyperparameters, ctx) : 0;
  const pageBytes = arenaBytes + auditArenaBytes;
  const config = {
    shape: hyperparameters,
    numHeads: hyperparameters.numHeads,
    ropeFrequencies: ropeFrequencies(hyperparameters),
    maxContext: ctx,
    format,
    maxRows,
    numThreads,
  };
  const scratch = scratchBytes(config, hyperparameters, backend, maxSequences);
  return {
    maxRows,
    arenaBytes,
    auditBytes: auditArenaBytes,
    memory: { weightBytes, pageBytes, scratchBytes: scratch.resident },
    runtimeBytes,
    totalBytes: weightBytes + pageBytes + scratch.resident + runtimeBytes,
    reservedBytes: weightBytes + pageBytes + scratch.reserved,
  };
}

/** Of a plan, what a limit limits. */
export function bytesUnder({ of }: MemoryLimit, plan: MemoryPlan): number {
  return of === 'addresses' ? plan.reservedBytes : plan.totalBytes;
}

/** The limit that a plan breaks by most bytes; undefined if it breaks none. */
export function brokenLimit(plan: MemoryPlan, limits: readonly MemoryLimit[]): MemoryLimit | undefined {
  const excess = (limit: MemoryLimit): number => bytesUnder(limit, plan) - limit.bytes;
  const broken = limits.filter((limit) => excess(limit) > 0);
  return broken.sort((a, b) => excess(b) - excess(a))[0];
}

export function fits(demand: MemoryDemand, limits: readonly MemoryLimit[]): boolean {
  return brokenLimit(addUpMemory(demand), limits) === undefined;
}

/** Longest context up to `most` that fits; 0 if none does. */
export function longestCtx(demand: MemoryDemand, limits: readonly MemoryLimit[], most: number): number {
  return largest(most, (ctx) => fits({ ...demand, ctx }, limits));
}

/** Most sequences of the demand's context that fit; 0 if not even one does. */
export function mostSequences(demand: MemoryDemand, limits: readonly MemoryLimit[], most = MAX_SEQUENCES): number {
  return largest(most, (maxSequences) => fits({ ...demand, maxSequences }, limits));
}

/** Largest number up to `most` for which a predicate holds that holds for all below it; 0 if it holds for none. */
function largest(most: number, holds: (value: number) => boolean): number {
  let [low, high] = [0, most + 1];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
