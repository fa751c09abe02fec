import type { KvShape, PageLayout } from '../cache/page-layout.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import type { WeightType } from './weight-types.ts';

/**
 * The kernel interface: buffers and sizes, never models, texts or sequences. A backend may run an operation at once or
 * record it and run everything in `finishStep`. Every operation gives each row bits that depend on that row alone: not on the
 * other rows of the step, on how rows are split over steps, or on the number of threads.
 *
 * Shapes: T is the number of rows (tokens) of the step, O the number of its output rows, H query heads, G KV heads, D channels
 * of a head. An activation is a [T or O, width] matrix of floats.
 */
export interface Kernels {
  readonly description: BackendDescription;
  readonly config: KernelsConfig;
  /** Whether an operation is compiled when it is first used, so that a few steps before the first request pay. */
  readonly compilesOnUse?: boolean;

  // ---- set-up: everything is allocated here, nothing during a step ----

  /** Reads a weight matrix into the backend's own layout. @throws KvantError OUT_OF_MEMORY, or what the source throws */
  loadMatrix(source: TensorSource, rowOrder: RowOrder): Promise<Matrix>;
  /** Reads a vector of F32, F16 or BF16, kept as float32. */
  loadVector(source: TensorSource, rowOrder: RowOrder): Promise<Vector>;
  /**
   * @param use `readable`: its rows can be read after `flush` and `finishStep`, `flushed`: after `flush` only; either may cost a copy. Default
   *   `device`: not at all
   */
  createActivation(width: number, rows: RowSet, use?: ActivationUse): Activation;
  /** A matmul's input: what norm, attention and SwiGLU write and `matmul` reads (for instance as int8 with scales). */
  createOperand(width: number, rows: RowSet): Operand;
  /**
   * Prepares a further format, in which segments of later steps may be; nothing if it has been added. The format of `config` needs none.
   * Between steps.
   *
   * @throws RangeError if its pages have another length than those of `config.format`; KvantError OUT_OF_MEMORY
   */
  addFormat(format: KvFormat): void;
  /** Allocates `numPages` pages of one layout; pages are told apart by their index in [0, numPages). */
  createPages(layout: PageLayout, numPages: number): PageMemory;
  /** Allocates zeroed memory for pages of several layouts. @throws RangeError if it is not whole units; KvantError OUT_OF_MEMORY */
  createPageArena(numBytes: number): PageArena;
  /**
   * Pages of one layout anywhere in an arena: a page's index is the unit at which it starts. That pages in use don't overlap is for the
   * caller to see to.
   */
  arenaPages(arena: PageArena, layout: PageLayout): PageMemory;
  /** Copies units within an arena, as if by way of another place where the two overlap. Between steps. @throws RangeError outside of it */
  copyUnits(arena: PageArena, fromUnit: number, toUnit: number, numUnits: number): void;

  // ---- a step, in this order: beginStep, operations (and flush, any number of times), finishStep ----
  // A backend may run an operation as part of the next one that reads what it writes. Hence an operand is for one reader: what norm
  // writes for one `matmul`, and gates and ups hold nothing of use after `swiGlu`.

  /** @throws RangeError if the step breaks a rule of `Step` */
  beginStep(step: Step): void;
  /** out[t] = row tokenIds[t] of the table. */
  embed(table: Matrix, out: Activation): void;
  /** out[t] = x[t] / sqrt(mean(x[t]^2) + epsilon) * weight (RMSNorm, arXiv 1910.07467). */
  rmsNorm(x: Activation, weight: Vector, epsilon: number, out: Operand): void;
  /**
   * RMSNorm of each head, in place: of every group of `weight.length` neighbouring channels by itself, all with the same weights.
   * Groups are whole vectors of 4 channels.
   */
  normHeads(x: Activation, weight: Vector, epsilon: number): void;
  /** For each output: out = x W^T + bias, or out += x W^T. One call for all matrices that share an input. */
  matmul(x: Operand, outputs: readonly MatmulOutput[]): void;
  /**
   * Rotates q and k by RoPE (pairs are channels i and i + ropeDim / 2 of a head), then k, q and v by the format's Hadamard
   * matrix, scales q by 1 / sqrt(D), and stores k and v as f16 in the sink and open pages. q is changed in place, [T, H * D];
   * k and v are [T, G * D].
   */
  storeKeysValues(layer: number, q: Activation, k: Activation, v: Activation): void;
  /** out[t, h] = softmax(q[t, h] K^T) V over the positions up to its own: sink and own page in f16, earlier pages sealed. */
  attend(layer: number, q: Activation, out: Operand): void;
  /** Quantizes the layer's tiles of every open page that its segment has filled (docs/page-format.md). After `attend`. */
  sealTiles(layer: number): void;
  /** out = silu(gate) * up (SwiGLU, arXiv 2002.05202). */
  swiGlu(gate: Activation, up: Activation, out: Operand): void;
  /** out[o] = x[outputRows[o]]: from step rows to output rows. */
  selectOutputs(x: Activation, out: Activation): void;
  /**
   * Finds the largest values of each of its rows, for `readLargest`: this step brings nothing else of it back. Absent where it would save
   * nothing.
   *
   * @param x readable
   * @param count at most `MOST_LARGEST`
   */
  selectLargest?(x: Activation, count: number): void;
  /** Runs what has been recorded so far, so that it can be read; the step goes on. */
  flush(): Promise<void>;
  /** Runs what has been recorded. Resolves when every result can be read. @throws KvantError ENGINE_FAILED */
  finishStep(): Promise<void>;

  // ---- reading back ----

  /** A row of a readable activation as float32; valid until the next step begins. A backend without a device reads all. */
  readRow(activation: Activation, row: number): Float32Array;
  /** What `selectLargest` has found in a row; valid as long as a row of `readRow`. */
  readLargest?(activation: Activation, row: number): LargestValues;
  /**
   * A copy of a page's bytes as of this call, for tests, files and other tiers; at once where the backend can. Between steps.
   *
   * @throws KvantError ENGINE_FAILED
   */
  readPage(pages: PageMemory, page: number): Uint8Array | Promise<Uint8Array>;
  writePage(pages: PageMemory, page: number, bytes: Uint8Array): void;
  /** Waits for memory that was asked for, in backends that hear later whether it is there. @throws KvantError OUT_OF_MEMORY, ENGINE_FAILED */
  ready?(): Promise<void>;
  /** Bytes that weights, pages (an arena counts once) and scratch take in this backend. */
  memoryUsage(): MemoryUsage;
  /** Ends threads and lets memory go. The object is dead afterwards. */
  close(): Promise<void>;
}

/** What a backend is made for. */
export interface KernelsConfig {
  readonly shape: KvShape;
  readonly numHeads: number;
  /** The format that is there from the start; `addFormat` adds others. */
  readonly format: KvFormat;
  /** ropeDim / 2 inverse frequencies: the angle of pair i at position p is p * ropeFrequencies[i]. */
  readonly ropeFrequencies: readonly number[];
  /** Most rows (tokens) of a step. */
  readonly maxRows: number;
  /** Most positions of a sequence. */
  readonly maxContext: number;
  /** Kernel threads, the caller's included. */
  readonly numThreads: number;
  /**
   * What a matmul's input is rounded to. `int8`: groups of 32 with a scale, integer dot products, the way to run. `f32`: not at all,
   * at half the speed, for measuring what else loses precision. Default `int8`. A backend without integer kernels is exact either way.
   */
  readonly activations?: Activations;
}

export type Activations = 'int8' | 'f32';

/** What runs, for reports. */
export interface BackendDescription {
  readonly name: 'reference' | 'wasm' | 'webgpu';
  readonly threads: number;
  /** For instance `relaxed SIMD`, `SIMD`, `float64`, or the name of a GPU. */
  readonly isa: string;
}

/** A tensor of a model file. */
export interface TensorSource {
  readonly name: string;
  readonly type: WeightType;
  /** Output features; 1 for a vector. */
  readonly numRows: number;
  /** Input features: the contiguous dimension. */
  readonly numCols: number;
  /** Fills `into` from the tensor's byte `offsetBytes` on. @throws KvantError MODEL_TRUNCATED, FILE_ERROR */
  read(into: Uint8Array, offsetBytes: number): Promise<void>;
}

/**
 * `file`: rows as in the file. `interleaved-rope`: rows of each head of `headDim` come as rotary pairs (2i, 2i + 1) in the file, as
 * llama's GGUF has them, and are put as (i, i + ropeDim / 2).
 */
export type RowOrder =
  { readonly kind: 'file' } | { readonly kind: 'interleaved-rope'; readonly headDim: number; readonly ropeDim: number };

/** Whether a buffer has a row per token of the step, or per output row. */
export type RowSet = 'step' | 'output';

/** Whether rows stay with the backend, or can be read. */
export type ActivationUse = 'device' | 'readable' | 'flushed';

export const MOST_LARGEST = 64;

/** The largest values of a row, as many as were asked for or a few more, largest first; of equal ones that of the lower index. NaN comes first. */
export interface LargestValues {
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

declare const brand: unique symbol;
/** Handles: a backend hands them out and takes only its own back. */
export interface Matrix {
  readonly [brand]: 'Matrix';
  readonly numRows: number;
  readonly numCols: number;
}
export interface Vector {
  readonly [brand]: 'Vector';
  readonly length: number;
}
export interface Activation {
  readonly [brand]: 'Activation';
  readonly width: number;
  readonly rows: RowSet;
}
export interface Operand {
  readonly [brand]: 'Operand';
  readonly width: number;
  readonly rows: RowSet;
}
export interface PageMemory {
  readonly [brand]: 'PageMemory';
  readonly layout: PageLayout;
  /** Indices are in [0, numPages). In an arena: units at which a whole page can start. */
  readonly numPages: number;
  /** In which the pages lie; undefined for pages of `createPages`. */
  readonly arena: PageArena | undefined;
}
export interface PageArena {
  readonly [brand]: 'PageArena';
  /** Of PAGE_UNIT_BYTES each (cache/page-layout.ts). */
  readonly numUnits: number;
}

export interface MatmulOutput {
  readonly weights: Matrix;
  readonly out: Activation;
  /** Added to the product. */
  readonly bias?: Vector;
  /** Adds the product to what `out` holds (a residual connection). */
  readonly accumulate?: boolean;
}

/** One step: rows of several sequences, each segment consecutive tokens of one of them. */
export interface Step {
  /** T ids in [0, vocabulary). */
  readonly tokenIds: readonly number[];
  /** Cover the rows 0..T-1 in order, without gaps. At most one per sequence. */
  readonly segments: readonly Segment[];
  /** Rows whose output is wanted, ascending. */
  readonly outputRows: readonly number[];
  /** The outputs' largest values will do, so many of each row. Backends that have all of them at hand need not heed it. */
  readonly numLargest?: number | undefined;
}

/** A format, and where each kind of its pages lies. */
export interface StepPages {
  readonly format: KvFormat;
  /** Of the format's sealed layout. */
  readonly sealed: PageMemory;
  /** f16, pageSize tokens. */
  readonly open: PageMemory;
  /** f16, numSinkTokens tokens; absent where the format has no sinks. */
  readonly sink: PageMemory | undefined;
}

/**
 * Consecutive tokens of one sequence, in its format. A segment never goes beyond the end of its open page; one that starts at position 0 may hold
 * the sink tokens and the start of page 0.
 */
export interface Segment {
  readonly firstRow: number;
  readonly numRows: number;
  readonly firstPosition: number;
  readonly pages: StepPages;
  /** Page indices in `pages.sealed`, in order of position; all the pages before the open one. */
  readonly sealedPages: readonly number[];
  /** Page index in `pages.open`. */
  readonly openPage: number;
  /** Page index in `pages.sink`; undefined where the format has no sinks. */
  readonly sinkPage: number | undefined;
  /** Where the open page's tiles go, if this segment fills it. */
  readonly sealInto: number | undefined;
}

export interface MemoryUsage {
  readonly weightBytes: number;
  readonly pageBytes: number;
  readonly scratchBytes: number;
}
