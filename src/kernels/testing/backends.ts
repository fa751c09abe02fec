import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { createWasmKernels } from '../wasm/create-wasm-kernels-node.ts';

/** All backends, for tests of what the interface promises. */
export const BACKENDS: readonly { name: string; create: (config: KernelsConfig) => Promise<Kernels> }[] = [
  { name: 'reference', create: async (config) => new ReferenceKernels(config) },
  { name: 'wasm', create: createWasmKernels },
];
