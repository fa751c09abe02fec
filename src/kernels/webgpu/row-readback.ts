import { KvantError } from '../../errors.ts';
import { numRowsOf } from '../check-step.ts';
import type { Activation, Step } from '../kernels.ts';
import { GPUBufferUsageFlags, MAP_READ, type GpuDevice } from './gpu-device.ts';
import type { GpuProgram } from './gpu-program.ts';
import type { ReadableRange } from './row-ranges.ts';

const FLOAT_BYTES = 4;

/** Brings rows back from the device, with the last submit of a step. */
export class RowReadback {
  readonly #gpu: GpuDevice;
  readonly #program: GpuProgram;
  readonly #rows = new Map<Activation, Float32Array>();
  #staging: GPUBuffer | undefined;

  constructor(gpu: GpuDevice, program: GpuProgram) {
    this.#gpu = gpu;
    this.#program = program;
  }

  /** Submits what has been recorded; afterwards the rows of these can be read. @throws KvantError ENGINE_FAILED */
  async submit(readables: readonly ReadableRange[], step: Step): Promise<void> {
    const sizes = readables.map(({ activation }) => numRowsOf(step, activation.rows) * activation.width * FLOAT_BYTES);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    this.#rows.clear();
    if (total === 0) {
      this.#program.submit();
      return;
    }
    const staging = this.#stagingOf(total);
    let offset = 0;
    readables.forEach(({ range }, index) => {
      if (sizes[index] > 0) this.#program.copy(range, staging, offset, sizes[index]);
      offset += sizes[index];
    });
    this.#program.submit();
    const values = await readFloats(staging, total);
    if (!values) {
      await this.#gpu.check();
      throw new KvantError('ENGINE_FAILED', 'the GPU gave no results back: load the model again');
    }
    let first = 0;
    readables.forEach(({ activation }, index) => {
      const length = sizes[index] / FLOAT_BYTES;
      this.#rows.set(activation, values.subarray(first, first + length));
      first += length;
    });
  }

  /** @throws Error for an activation that was not created to be read */
  row(activation: Activation, row: number): Float32Array {
    const values = this.#rows.get(activation);
    if (!values) throw new Error("an activation of the use 'device' cannot be read: create it as 'readable'");
    return values.subarray(row * activation.width, (row + 1) * activation.width);
  }

  #stagingOf(numBytes: number): GPUBuffer {
    if (this.#staging && this.#staging.size >= numBytes) return this.#staging;
    this.#staging?.destroy();
    this.#staging = this.#gpu.device.createBuffer({ size: numBytes, usage: GPUBufferUsageFlags.staging });
    return this.#staging;
  }
}

/** A copy of a staging buffer's start; undefined if the device was lost. */
async function readFloats(staging: GPUBuffer, numBytes: number): Promise<Float32Array | undefined> {
  try {
    await staging.mapAsync(MAP_READ, 0, numBytes);
  } catch {
    return undefined;
  }
  const values = new Float32Array(staging.getMappedRange(0, numBytes)).slice();
  staging.unmap();
  return values;
}
