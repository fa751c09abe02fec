/** Kvant: language models on a quantized KV cache. `load` is where to begin; ARCHITECTURE.md tells what happens then. */

export { load } from './engine/load-node.ts';
export { plan } from './engine/plan-node.ts';
export { KvantError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { MemoryFix } from './engine/memory-advice.ts';
export type { MemoryLimit } from './engine/memory-plan.ts';
export type { FormatPlan, ModelPlan } from './engine/plan-model.ts';
export type * from './engine/types.ts';
export type { BackendDescription, MemoryUsage } from './kernels/kernels.ts';
