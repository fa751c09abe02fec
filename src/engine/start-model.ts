import type { Kernels, KernelsConfig } from '../kernels/kernels.ts';
import type { ModelFile } from '../model/model-file.ts';
import { Transformer } from '../model/transformer.ts';
import { loadWeights } from '../model/weights.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import type { EngineLoadOptions } from './protocol.ts';

/** What makes kernels: a part of what an engine needs of its platform. */
export interface KernelPlatform {
  createKernels(backend: EngineLoadOptions['backend'], config: KernelsConfig): Promise<Kernels>;
}

export interface KernelDemand {
  readonly format: KvFormat;
  readonly ctx: number;
  /** Most rows of a step. */
  readonly maxRows: number;
}

/** A model on kernels of its own. */
export interface ModelOnKernels {
  readonly kernels: Kernels;
  readonly transformer: Transformer;
}

/** Kernels for a model. @throws KvantError BACKEND_UNAVAILABLE, OUT_OF_MEMORY */
export function createKernelsFor(
  { hyperparameters, ropeFrequencies }: ModelFile,
  { format, ctx, maxRows }: KernelDemand,
  { backend, threads }: Pick<EngineLoadOptions, 'backend' | 'threads'>,
  platform: KernelPlatform,
): Promise<Kernels> {
  return platform.createKernels(backend, {
    shape: hyperparameters,
    numHeads: hyperparameters.numHeads,
    format,
    ropeFrequencies,
    maxRows,
    maxContext: ctx,
    numThreads: threads,
  });
}

/**
 * Loads a model's weights onto kernels. Closes the kernels if that fails.
 *
 * @throws KvantError OUT_OF_MEMORY, MODEL_INVALID, MODEL_TRUNCATED, FILE_ERROR
 */
export async function loadOnto(
  kernels: Kernels,
  model: ModelFile,
  onProgress?: (loadedBytes: number, totalBytes: number) => void,
): Promise<ModelOnKernels> {
  try {
    const weights = await loadWeights(kernels, model, { onProgress });
    return { kernels, transformer: new Transformer(kernels, weights, model.hyperparameters) };
  } catch (error) {
    await kernels.close();
    throw error;
  }
}
