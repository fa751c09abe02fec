import { numRowsOf } from '../check-step.ts';
import type { Activation, ActivationUse, LargestValues, Step } from '../kernels.ts';
import type { GpuDevice } from './gpu-device.ts';
import type { GpuProgram } from './gpu-program.ts';
import { LargestKernels, largestOfRow, type LargestRange } from './largest-kernels.ts';
import { RowReadback, type ReadbackItem } from './row-readback.ts';
import type { RowRanges } from './row-ranges.ts';

/** What a step leaves to be read: rows, or the largest values of rows. */
export class StepResults {
  readonly #rows: RowRanges;
  readonly #readback: RowReadback;
  readonly #kernels: LargestKernels;
  /** What this step has found. */
  readonly #largest = new Map<Activation, LargestRange>();

  constructor(gpu: GpuDevice, program: GpuProgram, rows: RowRanges) {
    this.#rows = rows;
    this.#readback = new RowReadback(gpu, program);
    this.#kernels = new LargestKernels(gpu, program);
  }

  /** A step begins. */
  clear(): void {
    this.#largest.clear();
  }

  selectLargest(x: Activation, count: number, numRows: number): void {
    if (numRows === 0) return;
    this.#largest.set(x, this.#kernels.record(this.#rows.activation(x), numRows, x.width, count));
  }

  /** Runs what has been recorded, and brings back activations of these uses. @throws KvantError ENGINE_FAILED */
  async submit(step: Step, uses: readonly ActivationUse[]): Promise<void> {
    const activations = this.#rows.readable().filter(({ use }) => uses.includes(use));
    const items = activations.map(({ activation, range }): ReadbackItem => {
      const largest = this.#largest.get(activation);
      if (largest) return { of: largest, range: largest.range, numFloats: largest.numRows * largest.numPairs * 2 };
      return { of: activation, range, numFloats: numRowsOf(step, activation.rows) * activation.width };
    });
    await this.#readback.submit(items);
  }

  /** @throws Error for an activation that did not come back */
  row(activation: Activation, row: number): Float32Array {
    const values = this.#readback.values(activation);
    if (!values) {
      const message =
        "an activation that did not come back cannot be read: create it as 'readable', and do without selectLargest";
      throw new Error(message);
    }
    return values.subarray(row * activation.width, (row + 1) * activation.width);
  }

  /** @throws Error if the step did not select them */
  largest(activation: Activation, row: number): LargestValues {
    const largest = this.#largest.get(activation);
    const values = largest && this.#readback.values(largest);
    if (!values) throw new Error('the step did not select the largest values of this activation');
    return largestOfRow(values, row, largest.numPairs, activation.width);
  }
}
