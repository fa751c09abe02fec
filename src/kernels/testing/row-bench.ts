import type { Activation, Kernels, Matrix, Operand, StepPages, Vector } from '../kernels.ts';
import { createStepPages } from '../step-pages.ts';
import { f32Tensor } from './tensor-source.ts';

const FILE = { kind: 'file' } as const;
/** silu(128) is 128 to the last bit in float32 and in float64, since 1 + e^-128 is 1. */
const EXACT_GATE = 128;

/** An activation whose rows a step fills from given ones. */
export interface Input {
  readonly table: Matrix;
  readonly activation: Activation;
}

/** An operand that a step fills with given rows, exactly: `up` holds them divided by the gate. */
export interface ExactOperand {
  readonly operand: Operand;
  readonly gate: Input;
  readonly up: Input;
}

/**
 * Runs operations on rows given as floats, in any kernels: `embed` brings them in from a float32 table, and a product
 * with the identity brings operands out.
 */
export class RowBench {
  readonly kernels: Kernels;
  readonly #pages: StepPages;
  readonly #identities = new Map<number, Promise<Matrix>>();

  constructor(kernels: Kernels) {
    this.kernels = kernels;
    this.#pages = createStepPages(kernels, 1, 1);
  }

  async input(rows: readonly Float32Array[]): Promise<Input> {
    const width = rows[0].length;
    const table = await this.kernels.loadMatrix(f32Tensor(rows.length, width, flatten(rows)), FILE);
    return { table, activation: this.kernels.createActivation(width, 'step') };
  }

  async vector(values: ArrayLike<number>): Promise<Vector> {
    return this.kernels.loadVector(f32Tensor(1, values.length, values), FILE);
  }

  /** @throws RangeError if a value divided by 128 is not a float32 */
  async exactOperand(rows: readonly Float32Array[]): Promise<ExactOperand> {
    const scaled = rows.map((row) => row.map((value) => value / EXACT_GATE));
    const isExact = rows.every((row, i) => row.every((value, c) => scaled[i][c] * EXACT_GATE === value));
    if (!isExact) throw new RangeError('values that lose bits when divided by 128: keep denormals multiples of 2^-142');
    const gates = rows.map((row) => new Float32Array(row.length).fill(EXACT_GATE));
    const operand = this.kernels.createOperand(rows[0].length, 'step');
    return { operand, gate: await this.input(gates), up: await this.input(scaled) };
  }

  /**
   * One step: row i of every input is row `rowIds[i]` of its table, then what `record` does.
   *
   * @param inputs those to fill, exact operands included
   */
  async step(
    rowIds: readonly number[],
    inputs: readonly (Input | ExactOperand)[],
    record: () => void,
    outputRows: readonly number[] = [],
  ): Promise<void> {
    const { kernels } = this;
    const pages = this.#pages;
    const place = {
      pages,
      sinkPage: pages.sink && 0,
      firstPosition: 0,
      sealedPages: [],
      openPage: 0,
      sealInto: undefined,
    };
    const segments = [{ ...place, firstRow: 0, numRows: rowIds.length }];
    kernels.beginStep({ tokenIds: rowIds, segments, outputRows });
    for (const input of inputs) {
      const parts = 'operand' in input ? [input.gate, input.up] : [input];
      for (const { table, activation } of parts) kernels.embed(table, activation);
      if ('operand' in input) kernels.swiGlu(input.gate.activation, input.up.activation, input.operand);
    }
    record();
    await kernels.finishStep();
  }

  /** Where a step can put an operand's rows with `matmul(operand, [reader])`. */
  async reader(width: number): Promise<{ weights: Matrix; out: Activation }> {
    let identity = this.#identities.get(width);
    if (!identity) {
      const values = new Float32Array(width ** 2);
      for (let i = 0; i < width; i++) values[i * (width + 1)] = 1;
      identity = this.kernels.loadMatrix(f32Tensor(width, width, values), FILE);
      this.#identities.set(width, identity);
    }
    return { weights: await identity, out: this.kernels.createActivation(width, 'step', 'readable') };
  }

  /** Copies of an activation's first rows. */
  rows(activation: Activation, numRows: number): Float32Array[] {
    return Array.from({ length: numRows }, (_, row) => this.kernels.readRow(activation, row).slice());
  }
}

function flatten(rows: readonly Float32Array[]): Float32Array {
  const flat = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, i) => flat.set(row, i * row.length));
  return flat;
}
