import type { GpuDevice, GpuRange } from './gpu-device.ts';
import type { GpuTimer } from './gpu-timer.ts';
import { declareConstants, type ShaderConstants } from './shader-constants.ts';
import type { ShaderName, ShaderSources } from './shaders.ts';

/** A compiled shader, and what it has been bound to. */
export interface GpuKernel {
  readonly pipeline: GPUComputePipeline;
  readonly groups: BoundGroup[];
  /** Where in `groups` the next one probably is: layers take their turns. */
  next: number;
}

interface BoundGroup {
  readonly bindings: Bindings;
  readonly group: GPUBindGroup;
}

/** What a kernel is made of. */
export interface ShaderSpec {
  readonly name: ShaderName;
  /** Sources that it builds on, before its own. */
  readonly parts: readonly ShaderName[];
  readonly constants: ShaderConstants;
}

/**
 * Recording a dispatch takes the CPU 5 us, about what a small one takes the GPU: it starts on what is there. A step of one token has some 115 dispatches.
 * With 64 a submit, an H200 decodes a tenth slower.
 */
const DISPATCHES_A_SUBMIT = 16;

export type Grid = readonly [x: number, y?: number, z?: number];

/** By number; undefined: the shader has none of this number. */
export type Bindings = readonly (GpuRange | undefined)[];

/** Compiles shaders and records their dispatches: what is between two submits is one pass. */
export class GpuProgram {
  readonly #gpu: GpuDevice;
  readonly #sources: ShaderSources;
  readonly #kernels = new Map<string | number, GpuKernel>();
  #numRecorded = 0;
  /** Times what is submitted from now on; undefined: nothing is. */
  timer: GpuTimer | undefined;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #lastKernel: GpuKernel | undefined;

  constructor(gpu: GpuDevice, sources: ShaderSources) {
    this.#gpu = gpu;
    this.#sources = sources;
  }

  /**
   * A kernel, compiled once.
   *
   * @param key tells it apart from all others; making a text takes a microsecond, which is much for each dispatch of each layer. Numbers are
   *   attention's
   */
  kernel(key: string | number, describe: () => ShaderSpec): GpuKernel {
    const known = this.#kernels.get(key);
    if (known) return known;
    const { name, parts, constants } = describe();
    const enable = parts.includes('lanes-subgroup') ? ['enable subgroups;'] : [];
    const code = [...enable, declareConstants(constants), ...[...parts, name].map((part) => this.#sources[part])];
    const module = this.#gpu.device.createShaderModule({ code: code.join('\n'), label: name });
    const pipeline = this.#gpu.device.createComputePipeline({ layout: 'auto', compute: { module }, label: name });
    const kernel = { pipeline, groups: [], next: 0 };
    this.#kernels.set(key, kernel);
    return kernel;
  }

  /** Records a dispatch. @param bindings of the shader, from 0 on */
  dispatch(kernel: GpuKernel, bindings: Bindings, [x, y = 1, z = 1]: Grid): void {
    this.#encoder ??= this.#gpu.device.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass(this.timer && { timestampWrites: this.timer.timestampWrites });
    // Neighbours often are of one kind, such as keys and values, and each call across to Dawn takes 2 us.
    if (kernel !== this.#lastKernel) this.#pass.setPipeline(kernel.pipeline);
    this.#lastKernel = kernel;
    this.#pass.setBindGroup(0, this.#bindGroup(kernel, bindings));
    this.#pass.dispatchWorkgroups(x, y, z);
    this.#numRecorded += 1;
    if (this.#numRecorded >= DISPATCHES_A_SUBMIT && !this.timer) this.submit();
  }

  /** Records a copy, after all dispatches so far. */
  copy(from: GpuRange, to: GPUBuffer, toBytes: number, numBytes: number): void {
    this.#endPass();
    this.#encoder ??= this.#gpu.device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(from.buffer, from.offsetBytes, to, toBytes, numBytes);
  }

  /** Lets what has been recorded run. */
  submit(): void {
    this.#endPass();
    if (this.#encoder) this.timer?.resolve(this.#encoder);
    if (this.#encoder) this.#gpu.device.queue.submit([this.#encoder.finish()]);
    this.#encoder = undefined;
    this.#numRecorded = 0;
  }

  /** Forgets what has been recorded. */
  discard(): void {
    this.#endPass();
    this.#encoder = undefined;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#lastKernel = undefined;
  }

  #bindGroup(kernel: GpuKernel, bindings: Bindings): GPUBindGroup {
    const { groups } = kernel;
    for (let i = 0; i < groups.length; i++) {
      const index = (kernel.next + i) % groups.length;
      if (!areSame(groups[index].bindings, bindings)) continue;
      kernel.next = index + 1;
      return groups[index].group;
    }
    const group = this.#gpu.device.createBindGroup({
      layout: kernel.pipeline.getBindGroupLayout(0),
      entries: bindings.flatMap((range, binding) => {
        if (!range) return [];
        return [{ binding, resource: { buffer: range.buffer, offset: range.offsetBytes, size: range.numBytes } }];
      }),
    });
    groups.push({ bindings, group });
    kernel.next = 0;
    return group;
  }
}

function areSame(a: Bindings, b: Bindings): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return a.length === b.length;
}
