import type { GpuDevice, GpuRange } from './gpu-device.ts';

const BYTES = 16;
// QUERY_RESOLVE, COPY_SRC
const RESOLVE_USAGE = 0x200 | 0x4;

/** Times passes on the device itself. */
export class GpuTimer {
  readonly #gpu: GpuDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GpuRange;
  #numTimed = 0;

  /** @returns undefined for a device that cannot tell the time */
  static create(gpu: GpuDevice): GpuTimer | undefined {
    return gpu.device.features.has('timestamp-query') ? new GpuTimer(gpu) : undefined;
  }

  private constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
    this.#queries = gpu.device.createQuerySet({ type: 'timestamp', count: 2 });
    this.#resolved = gpu.allocate(BYTES, 'timestamps', RESOLVE_USAGE);
  }

  /** What a pass that is to be timed begins with. */
  get timestampWrites(): GPUComputePassTimestampWrites {
    this.#numTimed += 1;
    return { querySet: this.#queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  }

  /** After the pass, in the same submit. */
  resolve(encoder: GPUCommandEncoder): void {
    if (this.#numTimed > 0) encoder.resolveQuerySet(this.#queries, 0, 2, this.#resolved.buffer, 0);
  }

  /** Milliseconds of the last pass that was submitted; undefined before the first one. */
  async readMs(): Promise<number | undefined> {
    if (this.#numTimed === 0) return undefined;
    const bytes = await this.#gpu.read(this.#resolved, 0, BYTES);
    const [start, end] = new BigUint64Array(bytes.buffer);
    return Number(end - start) / 1e6;
  }
}
