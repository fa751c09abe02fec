import type { KernelsConfig } from '../kernels/kernels.ts';
import { operandRowBytes, packedMatrixBytes, wasmScratchBytes } from '../kernels/wasm/planned-memory.ts';
import type { PlannedBytes } from '../kernels/wasm/planned-memory.ts';
import { webgpuMatrixBytes, webgpuOperandRowBytes, webgpuScratchBytes } from '../kernels/webgpu/planned-memory.ts';
import type { Hyperparameters } from '../model/hyperparameters.ts';
import type { ModelFile } from '../model/model-file.ts';
import type { EngineLoadOptions } from './protocol.ts';

const FLOAT32_BYTES = 4;
/** Of the reference backend, whose buffers come and go: more than they take with any model that was measured. */
const REFERENCE_SCRATCH_BYTES = 2 ** 24;

function isWebgpu(backend: EngineLoadOptions['backend']): boolean {
  return backend === 'webgpu' || backend === 'webgpu-software';
}

/** Bytes of a model's weights as a backend keeps them: the wasm backend in strips of 16 rows, the reference backend as float32. */
export function keptWeightBytes(model: ModelFile, backend: EngineLoadOptions['backend']): number {
  if (backend === 'reference') return model.numParameters * FLOAT32_BYTES;
  return model.tensors.reduce((total, { name, kind }) => {
    const { type, numRows, numCols } = model.file.tensorSource(name);
    if (kind === 'vector') return total + numRows * numCols * FLOAT32_BYTES;
    return total + (isWebgpu(backend) ? webgpuMatrixBytes : packedMatrixBytes)(type, numRows, numCols);
  }, 0);
}

/**
 * What a backend takes beside weights and pages: plans of steps, threads' own scratch, and the buffers that the transformer makes
 * (model/transformer.ts). Logits have a row for every row of a step, since a caller may ask for all of them; one that nobody asks
 * for is never touched and is no resident memory.
 */
export function scratchBytes(
  config: KernelsConfig,
  hyperparameters: Hyperparameters,
  backend: EngineLoadOptions['backend'],
  numSequences: number,
): PlannedBytes {
  const { maxRows } = config;
  const bytesOfOperand = isWebgpu(backend) ? webgpuOperandRowBytes : operandRowBytes;
  const step = stepRowBytes(hyperparameters, bytesOfOperand);
  const output = outputRowBytes(hyperparameters, bytesOfOperand);
  if (backend === 'reference') {
    const bytes = REFERENCE_SCRATCH_BYTES + maxRows * (step + output);
    return { reserved: bytes, resident: bytes };
  }
  const { reserved, resident } = isWebgpu(backend)
    ? webgpuScratchBytes(config)
    : wasmScratchBytes(config, numSequences);
  return {
    reserved: reserved + maxRows * (step + output),
    resident: resident + maxRows * step + Math.min(numSequences, maxRows) * output,
  };
}

/** Activations and operands that every row of a step has. */
function stepRowBytes(
  { embeddingLength, feedForwardLength, numHeads, numKvHeads, headDim }: Hyperparameters,
  bytesOfOperand: (width: number) => number,
): number {
  const numFloats = embeddingLength + (numHeads + 2 * numKvHeads) * headDim + 2 * feedForwardLength;
  const operands = [embeddingLength, numHeads * headDim, feedForwardLength];
  return numFloats * FLOAT32_BYTES + operands.reduce((total, width) => total + bytesOfOperand(width), 0);
}

/** The same of an output row. */
function outputRowBytes(
  { embeddingLength, vocabularySize }: Hyperparameters,
  bytesOfOperand: (width: number) => number,
): number {
  return (embeddingLength + vocabularySize) * FLOAT32_BYTES + bytesOfOperand(embeddingLength);
}
