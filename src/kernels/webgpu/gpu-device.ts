import { KvantError } from '../../errors.ts';
import { isSoftware } from './gpu-adapter.ts';

/** A part of a buffer, as shaders see it. */
export interface GpuRange {
  readonly buffer: GPUBuffer;
  readonly offsetBytes: number;
  readonly numBytes: number;
}

/** WGSL's built-in functions for dot products of packed bytes. */
const PACKED_DOTS = 'packed_4x8_integer_dot_product';
const OPTIONAL_FEATURES = ['subgroups', 'timestamp-query'] as const;

/** Limits that are asked for in full: the defaults are for the least of devices. */
const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxStorageBuffersPerShaderStage',
] as const;

/** What an adapter has no use made of. */
export interface LesserGpu {
  /** Less than what it takes in one piece. */
  readonly mostBytes?: number | undefined;
  /** Fewer workgroups of a dispatch in one dimension. */
  readonly mostWorkgroups?: number | undefined;
  readonly withoutSubgroups?: boolean;
  /** More than what WebGPU promises of every device. */
  readonly withLeastLimits?: boolean;
}

/**
 * A device, its memory, and what went wrong on it. Errors of WebGPU arrive later than the calls that cause them: `check` waits for them. A device on which
 * anything went wrong is not used again: `check` lets go what it held.
 */
export class GpuDevice {
  readonly device: GPUDevice;
  /** For reports, for instance `nvidia hopper`. */
  readonly name: string;
  /** Most bytes that shaders see in one piece. */
  readonly maxRangeBytes: number;
  /** Most workgroups of a dispatch in one dimension. */
  readonly maxWorkgroups: number;
  /** Computed by the CPU. */
  readonly isSoftware: boolean;
  readonly hasSubgroups: boolean;
  /** Threads of the smallest subgroup. */
  readonly minSubgroupSize: number;
  numBytes = 0;
  readonly #buffers = new Set<GPUBuffer>();
  readonly #pending: Promise<unknown>[] = [];
  #failure: KvantError | undefined;
  #isOpen = true;

  /**
   * @param lesser to try what a lesser adapter would do
   * @throws KvantError BACKEND_UNAVAILABLE if the adapter lacks what the kernels need
   */
  static async open(adapter: GPUAdapter, language: WGSLLanguageFeatures, lesser: LesserGpu = {}): Promise<GpuDevice> {
    if (!language.has(PACKED_DOTS)) {
      const message = `this WebGPU lacks ${PACKED_DOTS}: update the browser or the package webgpu, or use --backend wasm`;
      throw new KvantError('BACKEND_UNAVAILABLE', message);
    }
    const { withoutSubgroups = false, withLeastLimits = false } = lesser;
    const requiredFeatures = OPTIONAL_FEATURES.filter(
      (feature) => adapter.features.has(feature) && !(withoutSubgroups && feature === 'subgroups'),
    );
    const wanted = withLeastLimits ? [] : WANTED_LIMITS;
    const requiredLimits = Object.fromEntries(wanted.map((name) => [name, adapter.limits[name]]));
    try {
      return new GpuDevice(adapter, await adapter.requestDevice({ requiredFeatures, requiredLimits }), lesser);
    } catch (cause) {
      const message = `the GPU cannot be opened: ${String(cause)}; use --backend wasm`;
      throw new KvantError('BACKEND_UNAVAILABLE', message, { cause });
    }
  }

  private constructor(adapter: GPUAdapter, device: GPUDevice, lesser: LesserGpu) {
    this.device = device;
    const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupsPerDimension } = device.limits;
    const { mostBytes = Infinity, mostWorkgroups = Infinity } = lesser;
    this.maxRangeBytes = Math.min(maxBufferSize, maxStorageBufferBindingSize, mostBytes);
    this.maxWorkgroups = Math.min(maxComputeWorkgroupsPerDimension, mostWorkgroups);
    const { vendor, architecture, device: model, description, subgroupMinSize } = adapter.info;
    this.name = [...new Set([vendor, architecture, description || model])].filter((part) => part !== '').join(' ');
    this.isSoftware = isSoftware(adapter.info);
    this.hasSubgroups = device.features.has('subgroups');
    this.minSubgroupSize = this.hasSubgroups ? (subgroupMinSize ?? 1) : 1;
    device.addEventListener('uncapturederror', (event) => {
      // It would be written to the console, too.
      event.preventDefault();
      this.#fail(new KvantError('ENGINE_FAILED', `the GPU failed: ${event.error.message}`));
    });
    void device.lost.then(({ message }) => {
      const reason = message === '' ? 'no reason given' : message;
      this.#fail(new KvantError('ENGINE_FAILED', `the GPU was lost (${reason}): load the model again`));
    });
  }

  /** False once it has been closed, or has failed: then it holds no memory. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get limits(): GPUSupportedLimits {
    return this.device.limits;
  }

  /**
   * Allocates zeroed memory that shaders can read and write.
   *
   * @param what it is for, for the error
   * @throws KvantError OUT_OF_MEMORY if it is more than the device takes in one piece; what it lacks memory for, `check` throws
   */
  allocate(numBytes: number, what: string, usage = GPUBufferUsageFlags.storage): GpuRange {
    const size = Math.max(16, Math.ceil(numBytes / 16) * 16);
    const most = this.maxRangeBytes;
    if (size > most) {
      const limit = `the GPU takes at most ${most} bytes in one piece`;
      throw new KvantError(
        'OUT_OF_MEMORY',
        `no GPU memory for ${what}: ${size} bytes, and ${limit}; lower --ctx or use --backend wasm`,
      );
    }
    this.device.pushErrorScope('out-of-memory');
    const buffer = this.device.createBuffer({ size, usage });
    const message = `no GPU memory for ${what}, ${size} bytes: lower --ctx or use --backend wasm`;
    const outcome = this.device
      .popErrorScope()
      .then((error) => error && this.#fail(new KvantError('OUT_OF_MEMORY', message)));
    // What a device has no answer to, since it was lost, `check` knows.
    this.#pending.push(outcome.catch(() => undefined));
    this.#buffers.add(buffer);
    this.numBytes += size;
    return this.range(buffer, 0, size);
  }

  range(buffer: GPUBuffer, offsetBytes: number, numBytes: number): GpuRange {
    return { buffer, offsetBytes, numBytes };
  }

  free({ buffer }: GpuRange): void {
    if (!this.#buffers.delete(buffer)) return;
    this.numBytes -= buffer.size;
    buffer.destroy();
  }

  write({ buffer, offsetBytes }: GpuRange, data: Uint8Array | Uint32Array | Float32Array, atBytes = 0): void {
    const { buffer: source, byteOffset, byteLength } = data;
    this.device.queue.writeBuffer(buffer, offsetBytes + atBytes, source, byteOffset, byteLength);
  }

  /** Copies of bytes as they are when all that has been submitted is done. */
  async read({ buffer, offsetBytes }: GpuRange, atBytes: number, numBytes: number): Promise<Uint8Array> {
    const staging = this.device.createBuffer({ size: numBytes, usage: GPUBufferUsageFlags.staging });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offsetBytes + atBytes, staging, 0, numBytes);
    this.device.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(MAP_READ);
      return new Uint8Array(staging.getMappedRange()).slice();
    } catch (cause) {
      await this.check();
      throw new KvantError('ENGINE_FAILED', `reading from the GPU failed: ${String(cause)}`, { cause });
    } finally {
      staging.destroy();
    }
  }

  /** @throws KvantError OUT_OF_MEMORY, ENGINE_FAILED with what went wrong first; then the device is closed */
  async check(): Promise<void> {
    await Promise.all(this.#pending.splice(0));
    if (!this.#failure) return;
    this.close();
    throw this.#failure;
  }

  /** Lets everything go. Closing twice is closing once. */
  close(): void {
    this.#isOpen = false;
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.clear();
    this.numBytes = 0;
    this.device.destroy();
  }

  /** Closes nothing: Dawn calls this from within its own calls, and would wait for itself. */
  #fail(failure: KvantError): void {
    if (this.#isOpen) this.#failure ??= failure;
  }
}

/** Numbers of the WebGPU specification, which Node has no global objects for. */
export const MAP_READ = 0x1;
export const GPUBufferUsageFlags = {
  /** STORAGE, COPY_DST, COPY_SRC */
  storage: 0x80 | 0x8 | 0x4,
  /** UNIFORM, COPY_DST */
  uniform: 0x40 | 0x8,
  /** MAP_READ, COPY_DST */
  staging: MAP_READ | 0x8,
} as const;
