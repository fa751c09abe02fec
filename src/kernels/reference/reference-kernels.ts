import { PAGE_UNIT_BYTES, type PageLayout } from '../../cache/page-layout.ts';
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
import { arenaPageMemory, checkCopy, unitsOf } from '../page-units.ts';
import type {
  Activation,
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
  Segment,
  Step,
  StepPages,
  TensorSource,
  Vector,
} from '../kernels.ts';
import { normGroups, rmsNorm, swiGlu } from './elementwise.ts';
import { HandleTable } from '../handles.ts';
import { KeyValues } from './key-values.ts';
import type { StepMemory } from './key-values.ts';
import { matmul } from './matmul.ts';
import { ArenaBytes, Pages } from './pages.ts';
import { RowBuffer } from './row-buffer.ts';
import { TileCache } from './tile-cache.ts';
import { readMatrix, readVector } from './weights.ts';
import type { WeightMatrix } from './weights.ts';

/** Decoded tiles that are kept; beyond it they are decoded again for every query. */
const TILE_CACHE_BYTES = 256 * 2 ** 20;

/** A step that has begun, its memories looked up. */
interface RunningStep {
  readonly step: Step;
  /** Of each segment. */
  readonly memories: readonly StepMemory[];
}

/**
 * The oracle that every backend is tested against: float64, plain TypeScript, one thread, operations run at once.
 * Weights are dequantized to float32, activations are never quantized; what lies in pages is exactly what
 * docs/page-format.md says.
 */
export class ReferenceKernels implements Kernels {
  readonly description = { name: 'reference', threads: 1, isa: 'float64' } as const;
  readonly config: KernelsConfig;

  readonly #matrices = new HandleTable<Matrix, WeightMatrix>('matrix');
  readonly #vectors = new HandleTable<Vector, Float32Array>('vector');
  readonly #activations = new HandleTable<Activation, RowBuffer>('activation');
  readonly #operands = new HandleTable<Operand, RowBuffer>('operand');
  readonly #pages = new HandleTable<PageMemory, { pages: Pages; tiles: TileCache }>('page memory');
  readonly #arenas = new HandleTable<PageArena, ArenaBytes>('page arena');
  readonly #keyValues: KeyValues;
  readonly #buffers: RowBuffer[] = [];
  readonly #tileCaches: TileCache[] = [];
  readonly #formats = new Set<KvFormat>();
  #weightBytes = 0;
  #pageBytes = 0;
  #closed = false;
  #running: RunningStep | undefined;
  /** The step that `readRow` reads from. */
  #lastStep: Step | undefined;

  /** @throws RangeError if the heads do not fit each other or the rotary channels do not fit a head */
  constructor(config: KernelsConfig) {
    checkConfig(config);
    this.config = config;
    this.#keyValues = new KeyValues(config);
    this.#formats.add(config.format);
  }

  addFormat(format: KvFormat): void {
    if (this.#formats.has(format)) return;
    if (this.#running) throw new Error('a step has begun: formats are added between steps');
    checkFormat(format, this.config);
    this.#formats.add(format);
  }

  async loadMatrix(source: TensorSource, rowOrder: RowOrder): Promise<Matrix> {
    const matrix = await readMatrix(source, rowOrder);
    this.#weightBytes += matrix.values.byteLength;
    const handle = { numRows: matrix.numRows, numCols: matrix.numCols } as Matrix;
    return this.#matrices.add(handle, matrix);
  }

  async loadVector(source: TensorSource, rowOrder: RowOrder): Promise<Vector> {
    const values = await readVector(source, rowOrder);
    this.#weightBytes += values.byteLength;
    return this.#vectors.add({ length: values.length } as Vector, values);
  }

  createActivation(width: number, rows: RowSet): Activation {
    return this.#activations.add({ width, rows } as Activation, this.#createBuffer(width, rows));
  }

  createOperand(width: number, rows: RowSet): Operand {
    return this.#operands.add({ width, rows } as Operand, this.#createBuffer(width, rows));
  }

  createPages(layout: PageLayout, numPages: number): PageMemory {
    unitsOf(layout.pageBytes * numPages, `${numPages} pages`);
    const handle = { layout, numPages, arena: undefined } as PageMemory;
    return this.#addPages(handle, new Pages(layout, numPages)).handle;
  }

  createPageArena(numBytes: number): PageArena {
    const numUnits = unitsOf(numBytes, 'an arena of pages');
    const arena = new ArenaBytes(numBytes);
    this.#pageBytes += numBytes;
    return this.#arenas.add({ numUnits } as PageArena, arena);
  }

  arenaPages(arena: PageArena, layout: PageLayout): PageMemory {
    const bytes = this.#arenas.get(arena);
    const memory = arenaPageMemory(arena, layout);
    const { handle, tiles } = this.#addPages(memory, new Pages(layout, memory.numPages, bytes));
    bytes.watch((startBytes, endBytes) => tiles.forgetBytes(startBytes, endBytes));
    return handle;
  }

  copyUnits(arena: PageArena, fromUnit: number, toUnit: number, numUnits: number): void {
    if (this.#running) throw new Error('a step has begun: units are copied between steps');
    const memory = this.#arenas.get(arena);
    checkCopy(arena, fromUnit, toUnit, numUnits);
    const [from, to, length] = [fromUnit, toUnit, numUnits].map((units) => units * PAGE_UNIT_BYTES);
    memory.changes(to, to + length);
    memory.bytes.copyWithin(to, from, from + length);
  }

  beginStep(step: Step): void {
    if (this.#closed) throw new KvantError('ENGINE_CLOSED', 'the reference kernels have been closed');
    if (this.#running) throw new Error('a step has begun already: finish it first');
    checkStep(step, this.config, this.#formats);
    const memories = step.segments.map(({ pages }) => this.#memoryOf(pages));
    step.segments.forEach((segment, index) => announceWrites(segment, memories[index]));
    for (const buffer of this.#buffers) buffer.ensureRows(numRowsOf(step, buffer.rows));
    this.#running = { step, memories };
    this.#lastStep = step;
  }

  embed(table: Matrix, out: Activation): void {
    const { step } = this.#current();
    checkEmbed(table, out);
    checkTokenIds(step.tokenIds, table.numRows);
    const { numCols, values } = this.#matrices.get(table);
    const target = this.#activations.get(out);
    step.tokenIds.forEach((id, row) => target.row(row).set(values.subarray(id * numCols, (id + 1) * numCols)));
  }

  rmsNorm(x: Activation, weight: Vector, epsilon: number, out: Operand): void {
    const { step } = this.#current();
    checkRmsNorm(x, weight, out);
    const [source, target] = [this.#activations.get(x), this.#operands.get(out)];
    const factors = this.#vectors.get(weight);
    for (let row = 0; row < numRowsOf(step, x.rows); row++) {
      rmsNorm(source.row(row), factors, epsilon, target.row(row));
    }
  }

  normHeads(x: Activation, weight: Vector, epsilon: number): void {
    const { step } = this.#current();
    checkNormHeads(x, weight);
    const rows = this.#activations.get(x);
    const factors = this.#vectors.get(weight);
    for (let row = 0; row < numRowsOf(step, x.rows); row++) normGroups(rows.row(row), factors, epsilon);
  }

  matmul(x: Operand, outputs: readonly MatmulOutput[]): void {
    const { step } = this.#current();
    const source = this.#operands.get(x);
    for (const output of outputs) {
      checkMatmul(x, output);
      matmul({
        x: source.values,
        numRows: numRowsOf(step, x.rows),
        weights: this.#matrices.get(output.weights).values,
        width: x.width,
        numOutputs: output.out.width,
        out: this.#activations.get(output.out).values,
        bias: output.bias && this.#vectors.get(output.bias),
        accumulate: output.accumulate ?? false,
      });
    }
  }

  storeKeysValues(layer: number, q: Activation, k: Activation, v: Activation): void {
    const { step, memories } = this.#current();
    checkLayer(layer, this.config);
    checkQueries(q, this.config);
    checkKeysValues(k, v, this.config);
    const [queries, keys, values] = [q, k, v].map((handle) => this.#activations.get(handle));
    step.segments.forEach((segment, index) => {
      this.#keyValues.store(memories[index], segment, layer, queries, keys, values);
    });
  }

  attend(layer: number, q: Activation, out: Operand): void {
    const { step, memories } = this.#current();
    checkLayer(layer, this.config);
    checkAttend(q, out, this.config);
    const [queries, target] = [this.#activations.get(q), this.#operands.get(out)];
    step.segments.forEach((segment, index) => {
      this.#keyValues.attend(memories[index], segment, layer, queries, target);
    });
  }

  sealTiles(layer: number): void {
    const { step, memories } = this.#current();
    checkLayer(layer, this.config);
    step.segments.forEach((segment, index) => {
      if (segment.sealInto !== undefined) this.#keyValues.seal(memories[index], segment, layer, segment.sealInto);
    });
  }

  swiGlu(gate: Activation, up: Activation, out: Operand): void {
    const { step } = this.#current();
    checkSwiGlu(gate, up, out);
    const [gates, ups] = [this.#activations.get(gate), this.#activations.get(up)];
    const target = this.#operands.get(out);
    for (let row = 0; row < numRowsOf(step, gate.rows); row++) swiGlu(gates.row(row), ups.row(row), target.row(row));
  }

  selectOutputs(x: Activation, out: Activation): void {
    const { step } = this.#current();
    checkSelectOutputs(x, out);
    const [source, target] = [this.#activations.get(x), this.#activations.get(out)];
    step.outputRows.forEach((row, index) => target.row(index).set(source.row(row)));
  }

  async flush(): Promise<void> {
    this.#current();
  }

  async finishStep(): Promise<void> {
    this.#current();
    this.#running = undefined;
  }

  readRow(activation: Activation, row: number): Float32Array {
    const buffer = this.#activations.get(activation);
    checkRow(row, this.#lastStep, buffer.rows);
    return Float32Array.from(buffer.row(row));
  }

  readPage(pages: PageMemory, page: number): Uint8Array {
    return this.#pages.get(pages).pages.pageBytes(page).slice();
  }

  writePage(pages: PageMemory, page: number, bytes: Uint8Array): void {
    const memory = this.#pages.get(pages);
    const target = memory.pages.pageBytes(page);
    if (bytes.length !== target.length) {
      throw new RangeError(`${bytes.length} bytes for a page of ${target.length}`);
    }
    memory.pages.changes(page);
    memory.tiles.forgetPage(page);
    target.set(bytes);
  }

  memoryUsage(): MemoryUsage {
    let scratchBytes = this.#keyValues.scratchBytes;
    for (const { values } of this.#buffers) scratchBytes += values.byteLength;
    for (const { sizeBytes } of this.#tileCaches) scratchBytes += sizeBytes;
    return { weightBytes: this.#weightBytes, pageBytes: this.#pageBytes, scratchBytes };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#running = undefined;
    this.#lastStep = undefined;
    this.#buffers.length = 0;
    this.#tileCaches.length = 0;
  }

  #addPages(handle: PageMemory, pages: Pages): { handle: PageMemory; tiles: TileCache } {
    const tiles = new TileCache(pages, TILE_CACHE_BYTES);
    this.#pageBytes += pages.sizeBytes;
    this.#tileCaches.push(tiles);
    return { handle: this.#pages.add(handle, { pages, tiles }), tiles };
  }

  #memoryOf({ sealed, open, sink }: StepPages): StepMemory {
    const { pages, tiles } = this.#pages.get(sealed);
    return {
      sealed: pages,
      sealedTiles: tiles,
      open: this.#pages.get(open).pages,
      sink: sink && this.#pages.get(sink).pages,
    };
  }

  #createBuffer(width: number, rows: RowSet): RowBuffer {
    // Few rows are outputs, and theirs are the widest: they get room when a step wants them.
    const buffer = new RowBuffer(width, rows, rows === 'step' ? this.config.maxRows : 1);
    this.#buffers.push(buffer);
    return buffer;
  }

  #current(): RunningStep {
    if (!this.#running) throw new Error('no step has begun');
    return this.#running;
  }
}

/** That pages of a segment are about to change, so that nobody keeps what lay there before. */
function announceWrites({ openPage, sinkPage, sealInto }: Segment, memory: StepMemory): void {
  const { open, sink, sealed, sealedTiles } = memory;
  open.changes(openPage);
  if (sink && sinkPage !== undefined) sink.changes(sinkPage);
  if (sealInto === undefined) return;
  sealed.changes(sealInto);
  sealedTiles.forgetPage(sealInto);
}
