import type { PageLayout } from '../../cache/page-layout.ts';
import { KvantError } from '../../errors.ts';
import type { KvFormat } from '../../quant/kv-format.ts';
import {
  checkAttend,
  checkConfig,
  checkEmbed,
  checkFormat,
  checkKeysValues,
  checkLayer,
  checkMatmul,
  checkNormHeads,
  checkQueries,
  checkRmsNorm,
  checkSelectOutputs,
  checkSwiGlu,
} from '../check-operands.ts';
import { checkRow, checkStep, checkTokenIds, numRowsOf } from '../check-step.ts';
import { HandleTable } from '../handles.ts';
import type {
  Activation,
  BackendDescription,
  Kernels,
  KernelsConfig,
  MatmulOutput,
  Matrix,
  MemoryUsage,
  Operand,
  PageArena,
  PageMemory,
  RowOrder,
  RowSet,
  Step,
  StepPages,
  TensorSource,
  Vector,
} from '../kernels.ts';
import {
  OP_ATTEND,
  OP_EMBED,
  OP_MATMUL,
  OP_MERGE_PARTS,
  OP_NORM_HEADS,
  OP_RMS_NORM,
  OP_SEAL,
  OP_SELECT_ROWS,
  OP_STORE_KEYS_VALUES,
  OP_SWIGLU,
  STRIP_ROWS,
} from './assembly/commands.ts';
import { AttentionParameters } from './attention-parameters.ts';
import { AttentionPlan, stateBytes, type PageAddresses } from './attention-plan.ts';
import type { KernelRuntime } from './kernel-runtime.ts';
import { RopeTable } from './rope-table.ts';
import { WasmPages } from './wasm-pages.ts';
import { type PackedMatrix, WasmWeights } from './wasm-weights.ts';

interface OperandBuffer {
  readonly floats: number;
  /** 0 where activations stay float32, or the width is not whole groups of 32: then weights are multiplied as float32. */
  readonly quantized: number;
}

/** Batches of this many rows wait for weights, not for arithmetic. */
const FEW_ROWS = 8;

/**
 * Strips that a thread claims at a time. Few rows: one run each, since every jump to another place in memory costs as much as reading 2 kB
 * (a fifth to a half more tokens a second than with quarters or eighths of that). Many rows: several, so that threads end together.
 */
function stripsAtOnce(numStrips: number, numRows: number, numThreads: number): number {
  if (numRows <= FEW_ROWS) return Math.ceil(numStrips / numThreads);
  return Math.max(1, Math.min(16, Math.floor(numStrips / (8 * numThreads))));
}

/**
 * The `Kernels` interface over WebAssembly: operations are recorded as commands in shared memory, and `finishStep` lets all
 * threads run the list without coming back to JavaScript in between.
 */
export class WasmKernels implements Kernels {
  readonly description: BackendDescription;
  readonly config: KernelsConfig;
  readonly #runtime: KernelRuntime;
  readonly #weights: WasmWeights;
  readonly #plan: AttentionPlan;
  readonly #rope: RopeTable;
  readonly #parameters: AttentionParameters;
  readonly #partials: number;
  readonly #outputRows: number;
  readonly #matrices = new HandleTable<Matrix, PackedMatrix>('matrix');
  readonly #vectors = new HandleTable<Vector, number>('vector');
  readonly #activations = new HandleTable<Activation, number>('activation');
  readonly #operands = new HandleTable<Operand, OperandBuffer>('operand');
  readonly #pages: WasmPages;
  #weightBytes = 0;
  #step: Step | undefined;
  #recording = false;

  constructor(config: KernelsConfig, runtime: KernelRuntime) {
    checkConfig(config);
    const { memory, program, exports } = runtime;
    this.config = config;
    this.description = { name: 'wasm', threads: config.numThreads, isa: runtime.isa };
    this.#runtime = runtime;
    this.#weights = new WasmWeights(memory, program, () => runtime.run(), exports.stripBytes);
    this.#plan = new AttentionPlan(memory, config);
    this.#pages = new WasmPages(memory);
    this.#rope = new RopeTable(memory, config.ropeFrequencies, config.maxRows);
    this.#parameters = new AttentionParameters(memory, config, this.#plan.splitPages);
    const partialBytes = this.#plan.maxParts * config.numHeads * stateBytes(config.shape.headDim);
    this.#partials = memory.allocate(partialBytes, 'partial results of attention');
    this.#outputRows = memory.allocate(config.maxRows * 4, 'the list of output rows');
  }

  async loadMatrix(source: TensorSource, rowOrder: RowOrder): Promise<Matrix> {
    const matrix = await this.#weights.loadMatrix(source, rowOrder);
    this.#weightBytes += matrix.numBytes;
    return this.#matrices.add({ numRows: source.numRows, numCols: source.numCols } as Matrix, matrix);
  }

  async loadVector(source: TensorSource, rowOrder: RowOrder): Promise<Vector> {
    const { address, length } = await this.#weights.loadVector(source, rowOrder);
    this.#weightBytes += length * 4;
    return this.#vectors.add({ length } as Vector, address);
  }

  createActivation(width: number, rows: RowSet): Activation {
    const address = this.#runtime.memory.allocate(this.config.maxRows * width * 4, 'activations');
    return this.#activations.add({ width, rows } as Activation, address);
  }

  createOperand(width: number, rows: RowSet): Operand {
    const { memory, exports } = this.#runtime;
    const floats = memory.allocate(this.config.maxRows * width * 4, 'activations');
    const isQuantized = width % 32 === 0 && this.config.activations !== 'f32';
    const quantized = isQuantized
      ? memory.allocate(this.config.maxRows * exports.quantizedRowBytes(width), 'activations')
      : 0;
    return this.#operands.add({ width, rows } as Operand, { floats, quantized });
  }

  addFormat(format: KvFormat): void {
    if (this.#parameters.formats.has(format)) return;
    if (this.#recording) throw new Error('a step has begun: formats are added between steps');
    checkFormat(format, this.config);
    this.#parameters.add(format);
  }

  createPages(layout: PageLayout, numPages: number): PageMemory {
    return this.#pages.create(layout, numPages);
  }

  createPageArena(numBytes: number): PageArena {
    return this.#pages.createArena(numBytes);
  }

  arenaPages(arena: PageArena, layout: PageLayout): PageMemory {
    return this.#pages.inArena(arena, layout);
  }

  copyUnits(arena: PageArena, fromUnit: number, toUnit: number, numUnits: number): void {
    if (this.#recording) throw new Error('a step has begun: units are copied between steps');
    this.#pages.copyUnits(arena, fromUnit, toUnit, numUnits);
  }

  beginStep(step: Step): void {
    this.#runtime.checkOpen();
    if (this.#recording) throw new Error('a step has begun already: finish it first');
    checkStep(step, this.config, this.#parameters.formats);
    this.#plan.write(step, (pages) => this.#addressesOf(pages));
    this.#rope.write(step);
    this.#runtime.memory.words(this.#outputRows, step.outputRows.length).set(step.outputRows);
    this.#runtime.program.clear();
    this.#step = step;
    this.#recording = true;
  }

  embed(table: Matrix, out: Activation): void {
    const { tokenIds } = this.#current();
    checkEmbed(table, out);
    checkTokenIds(tokenIds, table.numRows);
    const { address, type } = this.#matrices.get(table);
    const args = [address, type, table.numCols, this.#plan.rowsAddress, this.#activations.get(out)];
    this.#record(OP_EMBED, tokenIds.length, args);
  }

  rmsNorm(x: Activation, weight: Vector, epsilon: number, out: Operand): void {
    checkRmsNorm(x, weight, out);
    const { floats, quantized } = this.#operands.get(out);
    const args = [this.#activations.get(x), this.#vectors.get(weight), x.width, 0, floats, quantized];
    this.#record(OP_RMS_NORM, this.#numRows(x.rows), args);
    this.#runtime.program.setFloat(3, epsilon);
  }

  normHeads(x: Activation, weight: Vector, epsilon: number): void {
    checkNormHeads(x, weight);
    const args = [this.#activations.get(x), this.#vectors.get(weight), x.width, 0, weight.length];
    this.#record(OP_NORM_HEADS, this.#numRows(x.rows), args);
    this.#runtime.program.setFloat(3, epsilon);
  }

  matmul(x: Operand, outputs: readonly MatmulOutput[]): void {
    const { floats, quantized } = this.#operands.get(x);
    const numRows = this.#numRows(x.rows);
    outputs.forEach((output, index) => {
      checkMatmul(x, output);
      const { address, type } = this.#matrices.get(output.weights);
      const numStrips = Math.ceil(output.out.width / STRIP_ROWS);
      const bias = output.bias ? this.#vectors.get(output.bias) : 0;
      this.#runtime.program.add({
        operation: OP_MATMUL,
        numItems: numStrips,
        chunk: stripsAtOnce(numStrips, numRows, this.config.numThreads),
        // Matrices of one call share an input and write apart from each other.
        barrier: index === outputs.length - 1,
        args: [
          ...[address, type, x.width, output.out.width, floats, quantized, this.#activations.get(output.out)],
          ...[numRows, output.accumulate ? 1 : 0, bias],
        ],
      });
    });
  }

  storeKeysValues(layer: number, q: Activation, k: Activation, v: Activation): void {
    const { tokenIds } = this.#current();
    checkLayer(layer, this.config);
    checkQueries(q, this.config);
    checkKeysValues(k, v, this.config);
    const buffers = [q, k, v].map((handle) => this.#activations.get(handle));
    const { cosinesAddress, sinesAddress } = this.#rope;
    const { numKvHeads } = this.config.shape;
    const args = [layer, this.#plan.rowsAddress, cosinesAddress, sinesAddress, ...buffers, numKvHeads];
    this.#record(OP_STORE_KEYS_VALUES, tokenIds.length * numKvHeads, args);
  }

  attend(layer: number, q: Activation, out: Operand): void {
    const { tokenIds } = this.#current();
    checkLayer(layer, this.config);
    checkAttend(q, out, this.config);
    const { floats, quantized } = this.#operands.get(out);
    const { rowsAddress, unitsAddress, numUnits } = this.#plan;
    const query = this.#activations.get(q);
    this.#record(OP_ATTEND, numUnits, [layer, unitsAddress, query, this.#partials]);
    const args = [layer, rowsAddress, this.#partials, floats, quantized];
    this.#record(OP_MERGE_PARTS, tokenIds.length, args);
  }

  sealTiles(layer: number): void {
    this.#current();
    checkLayer(layer, this.config);
    const { numToSeal, sealListAddress } = this.#plan;
    if (numToSeal === 0) return;
    const { numKvHeads } = this.config.shape;
    this.#runtime.program.add({
      operation: OP_SEAL,
      numItems: numToSeal * numKvHeads,
      chunk: 1,
      // Nothing in this step reads a page that it seals.
      barrier: false,
      args: [layer, sealListAddress, numKvHeads],
    });
  }

  swiGlu(gate: Activation, up: Activation, out: Operand): void {
    checkSwiGlu(gate, up, out);
    const { floats, quantized } = this.#operands.get(out);
    const args = [this.#activations.get(gate), this.#activations.get(up), gate.width, floats, quantized];
    this.#record(OP_SWIGLU, this.#numRows(gate.rows), args);
  }

  selectOutputs(x: Activation, out: Activation): void {
    const { outputRows } = this.#current();
    checkSelectOutputs(x, out);
    const args = [this.#activations.get(x), this.#outputRows, x.width, this.#activations.get(out)];
    this.#record(OP_SELECT_ROWS, outputRows.length, args);
  }

  async flush(): Promise<void> {
    this.#current();
    this.#runtime.run();
    this.#runtime.program.clear();
  }

  async finishStep(): Promise<void> {
    this.#current();
    this.#recording = false;
    this.#runtime.run();
  }

  readRow(activation: Activation, row: number): Float32Array {
    const address = this.#activations.get(activation);
    checkRow(row, this.#step, activation.rows);
    return this.#runtime.memory.floats(address + row * activation.width * 4, activation.width);
  }

  readPage(pages: PageMemory, page: number): Uint8Array {
    return Uint8Array.from(this.#pages.bytesOf(pages, page));
  }

  writePage(pages: PageMemory, page: number, bytes: Uint8Array): void {
    const target = this.#pages.bytesOf(pages, page);
    if (bytes.length !== target.length) throw new RangeError(`${bytes.length} bytes for a page of ${target.length}`);
    target.set(bytes);
  }

  memoryUsage(): MemoryUsage {
    const [weightBytes, pageBytes] = [this.#weightBytes, this.#pages.numBytes];
    return { weightBytes, pageBytes, scratchBytes: this.#runtime.memory.allocatedBytes - weightBytes - pageBytes };
  }

  async close(): Promise<void> {
    this.#recording = false;
    this.#step = undefined;
    await this.#runtime.close();
  }

  #addressesOf({ format, sealed, open, sink }: StepPages): PageAddresses {
    return {
      parameters: this.#parameters.addressOf(format),
      sealed: this.#pages.addressOf(sealed),
      open: this.#pages.addressOf(open),
      sink: sink ? this.#pages.addressOf(sink) : () => 0,
    };
  }

  /** An operation whose items are claimed one at a time, and that everything after it waits for. */
  #record(operation: number, numItems: number, args: readonly number[]): void {
    this.#current();
    this.#runtime.program.add({ operation, numItems, chunk: 1, barrier: true, args });
  }

  #numRows(rows: RowSet): number {
    return numRowsOf(this.#current(), rows);
  }

  #current(): Step {
    if (!this.#step || !this.#recording) throw new KvantError('ENGINE_FAILED', 'no step has begun');
    return this.#step;
  }
}
