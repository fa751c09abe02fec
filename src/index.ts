/** Kvant: language models on a quantized KV cache. `load` is where to begin; ARCHITECTURE.md tells what happens then. */

export { load } from './engine/load-node.ts';
export { KvantError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type * from './engine/types.ts';
export type { BackendDescription, MemoryUsage } from './kernels/kernels.ts';
