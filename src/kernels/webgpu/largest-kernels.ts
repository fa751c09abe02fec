import type { LargestValues } from '../kernels.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import type { GpuProgram } from './gpu-program.ts';

const WORKGROUP = 256;
const EACH = 16;
/** Numbers that a workgroup takes. */
const CHUNK = WORKGROUP * EACH;
/** How many can be looked for: few shaders, since each takes a while to compile. */
const COUNTS = [1, 8, 64] as const;
const PAIR_WORDS = 2;

/** Rows of pairs of an index and a number's bits. */
export interface LargestRange {
  readonly range: GpuRange;
  /** Of a row. */
  readonly numPairs: number;
  readonly numRows: number;
}

/** Finds the largest numbers of rows, so that only they come back from the device. */
export class LargestKernels {
  readonly #gpu: GpuDevice;
  readonly #program: GpuProgram;
  /** What one dispatch leaves for the next one. */
  #buffers: [GpuRange, GpuRange] | undefined;

  constructor(gpu: GpuDevice, program: GpuProgram) {
    this.#gpu = gpu;
    this.#program = program;
  }

  /** @param rows [numRows, width] of float32 @param count at most 64 */
  record(rows: GpuRange, numRows: number, width: number, count: number): LargestRange {
    const numPairs = COUNTS.find((known) => known >= count);
    if (numPairs === undefined) throw new RangeError(`the ${count} largest values: at most ${COUNTS.at(-1)} are found`);
    const buffers = this.#room(numRows * Math.ceil(width / CHUNK) * numPairs * PAIR_WORDS * 4);
    let [source, target] = [rows, buffers[0]];
    let numItems = width;
    for (let round = 0; round === 0 || numItems > numPairs; round++) {
      const workgroups = Math.ceil(numItems / CHUNK);
      const constants = { NUM_ITEMS: numItems, COUNT: numPairs, EACH, WORKGROUP, IS_FIRST: round === 0 };
      const kernel = this.#program.kernel(`largest ${numItems} ${numPairs} ${round === 0}`, () => {
        return { name: 'largest', parts: [], constants };
      });
      this.#program.dispatch(kernel, [source, target], [workgroups, numRows]);
      numItems = workgroups * numPairs;
      [source, target] = [target, buffers[(round + 1) % 2]];
    }
    return { range: source, numPairs, numRows };
  }

  #room(numBytes: number): [GpuRange, GpuRange] {
    if (this.#buffers && this.#buffers[0].numBytes >= numBytes) return this.#buffers;
    for (const buffer of this.#buffers ?? []) this.#gpu.free(buffer);
    const allocate = (): GpuRange => this.#gpu.allocate(numBytes, 'the largest values');
    this.#buffers = [allocate(), allocate()];
    return this.#buffers;
  }
}

/** What a row has left. @param values of `numPairs` pairs a row, as they come back @param width numbers of a row */
export function largestOfRow(values: Float32Array, row: number, numPairs: number, width: number): LargestValues {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const indices = new Uint32Array(Math.min(numPairs, width));
  const found = new Float32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const at = (row * numPairs + i) * PAIR_WORDS;
    indices[i] = words[at];
    found[i] = values[at + 1];
  }
  return { indices, values: found };
}
