/** How architectures differ. All are decoders with RMSNorm, RoPE, grouped-query attention and SwiGLU. */
export interface ArchitectureTraits {
  /**
   * Which rows of a query or key head make a rotary pair in the file: (2i, 2i + 1) as llama's converter leaves them, or
   * (i, i + ropeDim / 2), which is what the kernels rotate.
   */
  readonly ropePairs: 'interleaved' | 'halves';
  /** Whether the projections to queries, keys and values have biases. */
  readonly queryKeyValueBias: 'none' | 'optional' | 'required';
  /** Whether each head of queries and keys is normalised by RMSNorm before RoPE. */
  readonly normsHeads: boolean;
}

/** By `general.architecture`. */
export const ARCHITECTURES: Readonly<Record<string, ArchitectureTraits>> = {
  llama: { ropePairs: 'interleaved', queryKeyValueBias: 'optional', normsHeads: false },
  // Qwen2 and Qwen2.5.
  qwen2: { ropePairs: 'halves', queryKeyValueBias: 'required', normsHeads: false },
  qwen3: { ropePairs: 'halves', queryKeyValueBias: 'none', normsHeads: true },
};
