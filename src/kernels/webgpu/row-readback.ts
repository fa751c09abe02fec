import { KvantError } from '../../errors.ts';
import { GPUBufferUsageFlags, MAP_READ, type GpuDevice, type GpuRange } from './gpu-device.ts';
import type { GpuProgram } from './gpu-program.ts';

const FLOAT_BYTES = 4;

/** What is to come back, under the name that it is asked for by. */
export interface ReadbackItem {
  readonly of: object;
  readonly range: GpuRange;
  readonly numFloats: number;
}

/** Brings numbers back from the device, with the last submit of a step. */
export class RowReadback {
  readonly #gpu: GpuDevice;
  readonly #program: GpuProgram;
  readonly #values = new Map<object, Float32Array>();
  #staging: GPUBuffer | undefined;

  constructor(gpu: GpuDevice, program: GpuProgram) {
    this.#gpu = gpu;
    this.#program = program;
  }

  /** Submits what has been recorded; afterwards these are there, and nothing else is. @throws KvantError ENGINE_FAILED */
  async submit(items: readonly ReadbackItem[]): Promise<void> {
    const total = items.reduce((sum, { numFloats }) => sum + numFloats, 0);
    this.#values.clear();
    if (total === 0) {
      this.#program.submit();
      return;
    }
    const staging = this.#stagingOf(total * FLOAT_BYTES);
    let first = 0;
    for (const { range, numFloats } of items) {
      if (numFloats > 0) this.#program.copy(range, staging, first * FLOAT_BYTES, numFloats * FLOAT_BYTES);
      first += numFloats;
    }
    this.#program.submit();
    const values = await readFloats(staging, total);
    if (!values) {
      await this.#gpu.check();
      throw new KvantError('ENGINE_FAILED', 'the GPU gave no results back: load the model again');
    }
    first = 0;
    for (const { of, numFloats } of items) {
      this.#values.set(of, values.subarray(first, first + numFloats));
      first += numFloats;
    }
  }

  /** What came back with the last submit. */
  values(of: object): Float32Array | undefined {
    return this.#values.get(of);
  }

  #stagingOf(numBytes: number): GPUBuffer {
    if (this.#staging && this.#staging.size >= numBytes) return this.#staging;
    this.#staging?.destroy();
    this.#staging = this.#gpu.device.createBuffer({ size: numBytes, usage: GPUBufferUsageFlags.staging });
    return this.#staging;
  }
}

/** A copy of a staging buffer's start; undefined if the device was lost. */
async function readFloats(staging: GPUBuffer, numFloats: number): Promise<Float32Array | undefined> {
  const numBytes = numFloats * FLOAT_BYTES;
  try {
    await staging.mapAsync(MAP_READ, 0, numBytes);
  } catch {
    return undefined;
  }
  const values = new Float32Array(staging.getMappedRange(0, numBytes)).slice();
  staging.unmap();
  return values;
}
