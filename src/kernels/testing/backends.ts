import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { createWasmKernels } from '../wasm/create-wasm-kernels-node.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from './software-gpu.ts';

interface TestedBackend {
  readonly name: string;
  /** Why it cannot run here. */
  readonly skip: string | false;
  readonly create: (config: KernelsConfig) => Promise<Kernels>;
}

/** Backends on the CPU, for tests of what the interface promises. */
export const BACKENDS: readonly TestedBackend[] = [
  { name: 'reference', skip: false, create: async (config) => new ReferenceKernels(config) },
  { name: 'wasm', skip: false, create: createWasmKernels },
];

/** And the GPU, which takes seconds to compile shaders where it is itself computed: for tests with few of them. */
export const ALL_BACKENDS: readonly TestedBackend[] = [
  ...BACKENDS,
  { name: 'webgpu', skip: SKIP_WEBGPU, create: createSoftwareGpu },
];
