import type { Step } from '../kernels.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Cosines and sines of the rows of a step, computed in float64 once a step and used by every layer. */
export class RopeTable {
  readonly cosinesAddress: number;
  readonly sinesAddress: number;
  readonly #frequencies: readonly number[];
  readonly #cosines: Float32Array;
  readonly #sines: Float32Array;

  constructor(memory: SharedMemory, frequencies: readonly number[], maxRows: number) {
    const length = maxRows * frequencies.length;
    this.cosinesAddress = memory.allocate(length * 4, 'the rotary table');
    this.sinesAddress = memory.allocate(length * 4, 'the rotary table');
    this.#frequencies = frequencies;
    this.#cosines = memory.floats(this.cosinesAddress, length);
    this.#sines = memory.floats(this.sinesAddress, length);
  }

  write({ segments }: Step): void {
    let index = 0;
    for (const { firstPosition, numRows } of segments) {
      for (let position = firstPosition; position < firstPosition + numRows; position++) {
        for (const frequency of this.#frequencies) {
          this.#cosines[index] = Math.cos(position * frequency);
          this.#sines[index] = Math.sin(position * frequency);
          index += 1;
        }
      }
    }
  }
}
