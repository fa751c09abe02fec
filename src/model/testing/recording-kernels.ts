import assert from 'node:assert/strict';
import type {
  Activation,
  Kernels,
  KernelsConfig,
  Matrix,
  MatmulOutput,
  Operand,
  PageArena,
  PageMemory,
  RowOrder,
  RowSet,
  Step,
  TensorSource,
  Vector,
} from '../../kernels/kernels.ts';

interface Handle {
  readonly id: string;
  readonly width: number;
  readonly rows?: RowSet;
}

/** Computes nothing: writes down what it is asked for, one line a call, and checks that the shapes fit. */
export class RecordingKernels implements Kernels {
  readonly description = { name: 'reference', threads: 1, isa: 'none' } as const;
  readonly config: KernelsConfig;
  /** Of `loadMatrix` and `loadVector`: name and row order. */
  readonly loads: string[] = [];
  readonly calls: string[] = [];
  #numActivations = 0;
  #numOperands = 0;

  constructor(config: KernelsConfig) {
    this.config = config;
  }

  async loadMatrix(source: TensorSource, rowOrder: RowOrder): Promise<Matrix> {
    this.loads.push(`matrix ${source.name} ${rowOrder.kind}`);
    const { numRows, numCols } = source;
    return handle<Matrix>({ id: source.name, numRows, numCols });
  }

  async loadVector(source: TensorSource, rowOrder: RowOrder): Promise<Vector> {
    this.loads.push(`vector ${source.name} ${rowOrder.kind}`);
    assert.equal(source.numRows, 1);
    return handle<Vector>({ id: source.name, length: source.numCols });
  }

  createActivation(width: number, rows: RowSet): Activation {
    return handle<Activation>({ id: `activation ${this.#numActivations++}`, width, rows });
  }

  createOperand(width: number, rows: RowSet): Operand {
    return handle<Operand>({ id: `operand ${this.#numOperands++}`, width, rows });
  }

  beginStep(step: Step): void {
    this.calls.push(`beginStep ${step.tokenIds.join(' ')}`);
  }

  embed(table: Matrix, out: Activation): void {
    assert.equal(table.numCols, out.width);
    this.calls.push(`embed ${id(table)} -> ${id(out)}`);
  }

  rmsNorm(x: Activation, weight: Vector, epsilon: number, out: Operand): void {
    assert.deepEqual([weight.length, out.width, out.rows], [x.width, x.width, x.rows]);
    this.calls.push(`rmsNorm ${id(x)} ${id(weight)} ${epsilon} -> ${id(out)}`);
  }

  normHeads(x: Activation, weight: Vector, epsilon: number): void {
    assert.equal(x.width % weight.length, 0);
    this.calls.push(`normHeads ${id(x)} ${id(weight)} ${epsilon}`);
  }

  matmul(x: Operand, outputs: readonly MatmulOutput[]): void {
    for (const { weights, out, bias, accumulate } of outputs) {
      assert.deepEqual([weights.numCols, weights.numRows, x.rows], [x.width, out.width, out.rows]);
      if (bias) assert.equal(bias.length, out.width);
      const into = `${accumulate ? '+=' : '->'} ${id(out)}`;
      this.calls.push(`matmul ${id(x)} ${id(weights)}${bias ? ` + ${id(bias)}` : ''} ${into}`);
    }
  }

  storeKeysValues(layer: number, q: Activation, k: Activation, v: Activation): void {
    const { shape, numHeads } = this.config;
    const keyWidth = shape.numKvHeads * shape.headDim;
    assert.deepEqual([q.width, k.width, v.width], [numHeads * shape.headDim, keyWidth, keyWidth]);
    this.calls.push(`storeKeysValues ${layer} ${id(q)} ${id(k)} ${id(v)}`);
  }

  attend(layer: number, q: Activation, out: Operand): void {
    assert.equal(q.width, out.width);
    this.calls.push(`attend ${layer} ${id(q)} -> ${id(out)}`);
  }

  sealTiles(layer: number): void {
    this.calls.push(`sealTiles ${layer}`);
  }

  swiGlu(gate: Activation, up: Activation, out: Operand): void {
    assert.deepEqual([up.width, out.width], [gate.width, gate.width]);
    this.calls.push(`swiGlu ${id(gate)} ${id(up)} -> ${id(out)}`);
  }

  selectOutputs(x: Activation, out: Activation): void {
    assert.deepEqual([x.width, x.rows, out.rows], [out.width, 'step', 'output']);
    this.calls.push(`selectOutputs ${id(x)} -> ${id(out)}`);
  }

  async flush(): Promise<void> {
    this.calls.push('flush');
  }

  async finishStep(): Promise<void> {
    this.calls.push('finishStep');
  }

  addFormat(): void {
    throw new Error('a model adds no formats');
  }

  createPages(): PageMemory {
    throw new Error('a model allocates no pages');
  }

  createPageArena(): PageArena {
    throw new Error('a model allocates no arena');
  }

  arenaPages(): PageMemory {
    throw new Error('a model takes no pages of an arena');
  }

  copyUnits(): void {
    throw new Error('a model copies no pages');
  }

  readRow(): Float32Array {
    throw new Error('a model reads no rows');
  }

  readPage(): Uint8Array {
    throw new Error('a model reads no pages');
  }

  writePage(): void {
    throw new Error('a model writes no pages');
  }

  memoryUsage() {
    return { weightBytes: 0, pageBytes: 0, scratchBytes: 0 };
  }

  async close(): Promise<void> {}
}

/** Handles are branded so that nobody but a backend makes them; this is one. */
function handle<T>(fields: object): T {
  return fields as T;
}

function id(of: Matrix | Vector | Activation | Operand): string {
  return (of as unknown as Handle).id;
}
