import type { Kernels, Matrix, Vector } from '../kernels/kernels.ts';
import type { ModelFile } from './model-file.ts';

/** A model's weights as handles of a backend. */
export interface Weights {
  readonly tokenEmbedding: Matrix;
  readonly layers: readonly LayerWeights[];
  readonly outputNorm: Vector;
  /** The token embedding itself where the file has no output matrix (tied weights). */
  readonly output: Matrix;
}

export interface LayerWeights {
  readonly attentionNorm: Vector;
  readonly query: Projection;
  readonly key: Projection;
  readonly value: Projection;
  /** [headDim], for every head of queries and keys alike; absent where the architecture does not normalise them. */
  readonly queryNorm: Vector | undefined;
  readonly keyNorm: Vector | undefined;
  readonly attentionOutput: Projection;
  readonly feedForwardNorm: Vector;
  readonly gate: Projection;
  readonly up: Projection;
  readonly down: Projection;
}

/** x W^T + bias */
export interface Projection {
  readonly weights: Matrix;
  readonly bias?: Vector;
}

export interface LoadWeightsOptions {
  /** Called with 0 loaded bytes first, then after each tensor; bytes of the file. */
  readonly onProgress?: ((loadedBytes: number, totalBytes: number) => void) | undefined;
  /** Looked at before each tensor. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model's weights into a backend, each once, in order of their place in the file.
 *
 * @throws the signal's reason if it aborts, KvantError OUT_OF_MEMORY, MODEL_TRUNCATED, FILE_ERROR
 */
export async function loadWeights(
  kernels: Kernels,
  model: ModelFile,
  options: LoadWeightsOptions = {},
): Promise<Weights> {
  const { file, weightBytes } = model;
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, Vector>();
  let loadedBytes = 0;
  options.onProgress?.(0, weightBytes);
  for (const { name, kind, rowOrder } of model.tensors) {
    options.signal?.throwIfAborted();
    const source = file.tensorSource(name);
    if (kind === 'matrix') matrices.set(name, await kernels.loadMatrix(source, rowOrder));
    else vectors.set(name, await kernels.loadVector(source, rowOrder));
    loadedBytes += file.tensors.get(name)?.numBytes ?? 0;
    options.onProgress?.(loadedBytes, weightBytes);
  }
  return assemble(model.hyperparameters.numLayers, matrices, vectors);
}

function assemble(
  numLayers: number,
  matrices: ReadonlyMap<string, Matrix>,
  vectors: ReadonlyMap<string, Vector>,
): Weights {
  const projection = (name: string): Projection => {
    const bias = vectors.get(`${name}.bias`);
    return { weights: required(matrices, `${name}.weight`), ...(bias && { bias }) };
  };
  const layers = Array.from({ length: numLayers }, (_, layer) => ({
    attentionNorm: required(vectors, `blk.${layer}.attn_norm.weight`),
    query: projection(`blk.${layer}.attn_q`),
    key: projection(`blk.${layer}.attn_k`),
    value: projection(`blk.${layer}.attn_v`),
    queryNorm: vectors.get(`blk.${layer}.attn_q_norm.weight`),
    keyNorm: vectors.get(`blk.${layer}.attn_k_norm.weight`),
    attentionOutput: projection(`blk.${layer}.attn_output`),
    feedForwardNorm: required(vectors, `blk.${layer}.ffn_norm.weight`),
    gate: projection(`blk.${layer}.ffn_gate`),
    up: projection(`blk.${layer}.ffn_up`),
    down: projection(`blk.${layer}.ffn_down`),
  }));
  const tokenEmbedding = required(matrices, 'token_embd.weight');
  return {
    tokenEmbedding,
    layers,
    outputNorm: required(vectors, 'output_norm.weight'),
    output: matrices.get('output.weight') ?? tokenEmbedding,
  };
}

function required<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new RangeError(`${name} is not in the plan of tensors`);
  return value;
}
