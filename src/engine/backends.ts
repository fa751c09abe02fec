import type { MemoryLimit } from './memory-plan.ts';
import type { EngineLoadOptions } from './protocol.ts';

/** What the names of backends ask for. */

/** Which adapters a WebGPU backend takes. */
export const GPU_ADAPTERS = { webgpu: 'hardware', 'webgpu-software': 'any' } as const;

/** Which build of the kernels a wasm backend asks for; undefined: the fastest. */
export const WASM_BUILDS = { wasm: undefined, 'wasm-128': '128 bits', 'wasm-simd': 'SIMD' } as const;

/** What wasm32 can address: weights, pages and scratch share one memory. */
export const WASM_ADDRESS_SPACE: MemoryLimit = {
  bytes: 2 ** 32,
  name: 'the address space of WebAssembly',
  of: 'addresses',
};

export function isWebgpu(backend: EngineLoadOptions['backend']): backend is keyof typeof GPU_ADAPTERS {
  return backend in GPU_ADAPTERS;
}
