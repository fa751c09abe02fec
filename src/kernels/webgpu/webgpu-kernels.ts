import type { PageLayout } from '../../cache/page-layout.ts';
import { KvantError } from '../../errors.ts';
import type { KvFormat } from '../../quant/kv-format.ts';
import {
  checkAttend,
  checkConfig,
  checkEmbed,
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
  ActivationUse,
  BackendDescription,
  Kernels,
  KernelsConfig,
  LargestValues,
  MatmulOutput,
  Matrix,
  MemoryUsage,
  Operand,
  PageArena,
  PageMemory,
  RowOrder,
  RowSet,
  Step,
  TensorSource,
  Vector,
} from '../kernels.ts';
import { AttentionKernels } from './attention-kernels.ts';
import { checkHeads } from './check-heads.ts';
import { DenseKernels } from './dense-kernels.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import { GpuFormats } from './gpu-formats.ts';
import { GpuPages } from './gpu-pages.ts';
import { GpuProgram } from './gpu-program.ts';
import { GpuTimer } from './gpu-timer.ts';
import { loadGpuMatrix, loadGpuVector, type GpuMatrix } from './gpu-weights.ts';
import { MatmulKernels, shapeKey, weightConstants } from './matmul-kernels.ts';
import { liesInTiles, RowRanges } from './row-ranges.ts';
import { f32 } from './shader-constants.ts';
import type { ShaderSources } from './shaders.ts';
import { StepBuffer, type FormatPart } from './step-buffer.ts';
import { StepResults } from './step-results.ts';

/** Threads of the shaders that have one for 4 columns. */
const THREADS = 64;

interface RunningStep {
  readonly step: Step;
  readonly parts: readonly FormatPart[];
}

/** The `Kernels` interface over WebGPU: operations are recorded as dispatches of one pass, which `finishStep` submits. */
export class WebgpuKernels implements Kernels {
  readonly description: BackendDescription;
  readonly config: KernelsConfig;
  /** A GPU that is computed takes seconds for each shader: it compiles what is used. */
  readonly compilesOnUse: boolean;
  readonly #gpu: GpuDevice;
  readonly #program: GpuProgram;
  readonly #pages: GpuPages;
  readonly #formats: GpuFormats;
  readonly #stepBuffer: StepBuffer;
  readonly #attention: AttentionKernels;
  readonly #dense: DenseKernels;
  readonly #matrices = new HandleTable<Matrix, readonly GpuMatrix[]>('matrix');
  readonly #vectors = new HandleTable<Vector, GpuRange>('vector');
  readonly #rows: RowRanges;
  readonly #results: StepResults;
  #weightBytes = 0;
  #running: RunningStep | undefined;
  #lastStep: Step | undefined;
  #closed = false;

  /** Times each step on the device; for measurements. @returns undefined for a device that cannot tell the time */
  startTimer(): GpuTimer | undefined {
    this.#program.timer ??= GpuTimer.create(this.#gpu);
    return this.#program.timer;
  }

  /** @throws RangeError if the configuration contradicts itself; KvantError OUT_OF_MEMORY, MODEL_UNSUPPORTED */
  constructor(config: KernelsConfig, gpu: GpuDevice, sources: ShaderSources) {
    checkConfig(config);
    checkHeads(config.shape.headDim, gpu.limits.maxComputeWorkgroupStorageSize);
    this.config = config;
    this.description = { name: 'webgpu', threads: 1, isa: gpu.name };
    this.compilesOnUse = !gpu.isSoftware;
    this.#gpu = gpu;
    this.#program = new GpuProgram(gpu, sources);
    this.#pages = new GpuPages(gpu, config.shape.numLayers);
    this.#formats = new GpuFormats(gpu, config);
    const step = new StepBuffer(gpu, this.#pages, config);
    this.#stepBuffer = step;
    this.#attention = new AttentionKernels({ gpu, program: this.#program, config, formats: this.#formats, step });
    this.#rows = new RowRanges(gpu, config.maxRows);
    this.#dense = new DenseKernels({
      ...{ gpu, program: this.#program, rows: this.#rows, matrices: this.#matrices, vectors: this.#vectors },
      matmuls: new MatmulKernels(gpu, this.#program, step.range, config.activations === 'f32'),
    });
    this.#results = new StepResults(gpu, this.#program, this.#rows);
  }

  async loadMatrix(source: TensorSource, rowOrder: RowOrder): Promise<Matrix> {
    const pieces = await loadGpuMatrix(this.#gpu, source, rowOrder);
    for (const { codes, scales } of pieces) this.#weightBytes += codes.numBytes + scales.numBytes;
    return this.#matrices.add({ numRows: source.numRows, numCols: source.numCols } as Matrix, pieces);
  }

  async loadVector(source: TensorSource, rowOrder: RowOrder): Promise<Vector> {
    const range = await loadGpuVector(this.#gpu, source, rowOrder);
    this.#weightBytes += range.numBytes;
    return this.#vectors.add({ length: source.numRows * source.numCols } as Vector, range);
  }

  createActivation(width: number, rows: RowSet, use: ActivationUse = 'device'): Activation {
    return this.#rows.createActivation(width, rows, use);
  }

  createOperand(width: number, rows: RowSet): Operand {
    return this.#rows.createOperand(width, rows);
  }

  addFormat(format: KvFormat): void {
    if (this.#formats.known.has(format)) return;
    this.#checkIdle('formats are added');
    this.#formats.add(format);
  }

  createPages(layout: PageLayout, numPages: number): PageMemory {
    return this.#pages.createPages(layout, numPages);
  }

  createPageArena(numBytes: number): PageArena {
    return this.#pages.createArena(numBytes);
  }

  arenaPages(arena: PageArena, layout: PageLayout): PageMemory {
    return this.#pages.arenaPages(arena, layout);
  }

  copyUnits(arena: PageArena, fromUnit: number, toUnit: number, numUnits: number): void {
    this.#checkIdle('units are copied');
    this.#pages.copyUnits(arena, fromUnit, toUnit, numUnits);
  }

  beginStep(step: Step): void {
    if (this.#closed) throw new KvantError('ENGINE_CLOSED', 'the webgpu kernels have been closed');
    if (this.#running) throw new Error('a step has begun already: finish it first');
    checkStep(step, this.config, this.#formats.known);
    this.#rows.ensureOutputs(step.outputRows.length);
    const parts = this.#stepBuffer.write(step, (format) => this.#formats.get(format).slot);
    this.#attention.writeRope(positionsOf(step));
    this.#results.clear();
    this.#running = { step, parts };
    this.#lastStep = step;
  }

  embed(table: Matrix, out: Activation): void {
    const { step } = this.#settled();
    checkEmbed(table, out);
    checkTokenIds(step.tokenIds, table.numRows);
    for (const piece of this.#matrices.get(table)) {
      const { firstRow, numRows, numCols } = piece;
      const kernel = this.#program.kernel(`embed ${shapeKey(piece)}`, () => ({
        name: 'embed',
        parts: ['step', 'slots', 'weights'],
        constants: {
          ...{ ...this.#stepBuffer.constants(), STEP_BINDING: 0, ...weightConstants(piece) },
          ...{ FIRST_ROW: firstRow, NUM_ROWS: numRows },
        },
      }));
      const bindings = [this.#stepBuffer.range, piece.codes, piece.scales, this.#rows.activation(out)];
      this.#program.dispatch(kernel, bindings, [Math.ceil(numCols / 4 / THREADS), step.tokenIds.length]);
    }
  }

  rmsNorm(x: Activation, weight: Vector, epsilon: number, out: Operand): void {
    const { step } = this.#current();
    checkRmsNorm(x, weight, out);
    this.#dense.rmsNorm(x, weight, epsilon, out, numRowsOf(step, x.rows));
  }

  normHeads(x: Activation, weight: Vector, epsilon: number): void {
    const { step } = this.#settled();
    checkNormHeads(x, weight);
    const kernel = this.#program.kernel(`heads ${weight.length} ${epsilon}`, () => ({
      name: 'norm-heads',
      parts: [],
      constants: { HEAD_DIM: weight.length, EPSILON: f32(epsilon) },
    }));
    const grid = [x.width / weight.length, numRowsOf(step, x.rows)] as const;
    this.#program.dispatch(kernel, [this.#rows.activation(x), this.#vectors.get(weight)], grid);
  }

  matmul(x: Operand, outputs: readonly MatmulOutput[]): void {
    const { step } = this.#current();
    for (const output of outputs) checkMatmul(x, output);
    this.#dense.matmul(x, outputs, numRowsOf(step, x.rows));
  }

  storeKeysValues(layer: number, q: Activation, k: Activation, v: Activation): void {
    const { parts } = this.#settled();
    checkLayer(layer, this.config);
    checkQueries(q, this.config);
    checkKeysValues(k, v, this.config);
    const [queries, keys, values] = [q, k, v].map((handle) => this.#rows.activation(handle));
    for (const part of parts) this.#attention.store(part, layer, queries, keys, values);
  }

  attend(layer: number, q: Activation, out: Operand): void {
    const { parts, step } = this.#settled();
    checkLayer(layer, this.config);
    checkAttend(q, out, this.config);
    const [queries, target] = [this.#rows.activation(q), this.#rows.operand(out)];
    const isTiled = liesInTiles(numRowsOf(step, out.rows));
    for (const part of parts) this.#attention.attend(part, layer, queries, target, isTiled);
  }

  sealTiles(layer: number): void {
    const { parts } = this.#settled();
    checkLayer(layer, this.config);
    for (const part of parts) this.#attention.seal(part, layer);
  }

  swiGlu(gate: Activation, up: Activation, out: Operand): void {
    const { step } = this.#current();
    checkSwiGlu(gate, up, out);
    this.#dense.swiGlu(gate, up, out, numRowsOf(step, gate.rows));
  }

  selectOutputs(x: Activation, out: Activation): void {
    const { step } = this.#settled();
    checkSelectOutputs(x, out);
    const kernel = this.#program.kernel(`select ${x.width}`, () => ({
      name: 'select-rows',
      parts: ['step'],
      constants: { ...this.#stepBuffer.constants(), STEP_BINDING: 0, WIDTH: x.width },
    }));
    const bindings = [this.#stepBuffer.range, this.#rows.activation(x), this.#rows.activation(out)];
    this.#dispatchRows(kernel, bindings, [Math.ceil(x.width / 4 / THREADS), step.outputRows.length]);
  }

  selectLargest(x: Activation, count: number): void {
    const { step } = this.#settled();
    this.#results.selectLargest(x, count, numRowsOf(step, x.rows));
  }

  async flush(): Promise<void> {
    const { step } = this.#settled();
    await this.#results.submit(step, ['readable', 'flushed']);
    await this.#gpu.check();
  }

  async finishStep(): Promise<void> {
    const { step } = this.#settled();
    this.#attention.sealAll();
    this.#running = undefined;
    await this.#results.submit(step, ['readable']);
    await this.#gpu.check();
  }

  readRow(activation: Activation, row: number): Float32Array {
    this.#rows.activation(activation);
    checkRow(row, this.#lastStep, activation.rows);
    return this.#results.row(activation, row);
  }

  readLargest(activation: Activation, row: number): LargestValues {
    checkRow(row, this.#lastStep, activation.rows);
    return this.#results.largest(activation, row);
  }

  async ready(): Promise<void> {
    await this.#gpu.check();
  }

  readPage(pages: PageMemory, page: number): Promise<Uint8Array> {
    return this.#pages.read(pages, page);
  }

  writePage(pages: PageMemory, page: number, bytes: Uint8Array): void {
    this.#pages.write(pages, page, bytes);
  }

  memoryUsage(): MemoryUsage {
    if (!this.#gpu.isOpen) return { weightBytes: 0, pageBytes: 0, scratchBytes: 0 };
    const pageBytes = this.#pages.numBytes;
    return {
      weightBytes: this.#weightBytes,
      pageBytes,
      scratchBytes: this.#gpu.numBytes - this.#weightBytes - pageBytes,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#running = undefined;
    this.#lastStep = undefined;
    this.#dense.discard();
    this.#attention.discard();
    this.#program.discard();
    this.#gpu.close();
  }

  #dispatchRows(...args: Parameters<GpuProgram['dispatch']>): void {
    const [, , [x, y = 1]] = args;
    if (x * y > 0) this.#program.dispatch(...args);
  }

  #checkIdle(what: string): void {
    if (this.#running) throw new Error(`a step has begun: ${what} between steps`);
  }

  /** For whoever does not know what has been held back. */
  #settled(): RunningStep {
    this.#dense.settle();
    return this.#current();
  }

  #current(): RunningStep {
    if (!this.#running) throw new Error('no step has begun');
    return this.#running;
  }
}

/** Of each row. */
function positionsOf({ segments }: Step): number[] {
  return segments.flatMap(({ firstPosition, numRows }) => Array.from({ length: numRows }, (_, i) => firstPosition + i));
}
