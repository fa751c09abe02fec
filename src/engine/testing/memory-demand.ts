import type { Hyperparameters } from '../../model/hyperparameters.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { MemoryDemand, MemoryLimit } from '../memory-plan.ts';

/** SmolLM2-135M. */
const HYPERPARAMETERS: Hyperparameters = {
  architecture: 'llama',
  numLayers: 30,
  embeddingLength: 576,
  feedForwardLength: 1536,
  numHeads: 9,
  numKvHeads: 3,
  headDim: 64,
  ropeDim: 64,
  ropeBase: 10_000,
  ropeScalingFactor: 1,
  rmsEpsilon: 1e-5,
  contextLength: 8192,
  vocabularySize: 49_152,
};

/** Of SmolLM2-135M on two threads. */
export function memoryDemand(kv: string, ctx: number, maxSequences = 1): MemoryDemand {
  return {
    hyperparameters: HYPERPARAMETERS,
    format: parseKvFormat(kv, HYPERPARAMETERS.headDim),
    calibration: undefined,
    calibrationBytes: 0,
    ctx,
    maxSequences,
    backend: 'wasm',
    numThreads: 2,
    weightBytes: 98_000_000,
    runtimeBytes: 150_000_000,
  };
}

export const WASM_LIMIT: MemoryLimit = { bytes: 2 ** 32, name: 'the address space of WebAssembly', of: 'addresses' };

export function machineLimit(bytes: number): MemoryLimit {
  return { bytes, name: 'this machine', of: 'process' };
}
