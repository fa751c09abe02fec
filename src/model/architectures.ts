/** How architectures differ. All are decoders with RMSNorm, RoPE, grouped-query attention and SwiGLU. */
export interface ArchitectureTraits {
  /**
   * Which rows of a query or key head make a rotary pair in the file: (2i, 2i + 1) as llama's converter leaves them, or
   * (i, i + ropeDim / 2), which is what the kernels rotate.
   */
  readonly ropePairs: 'interleaved' | 'halves';
}

/** By `general.architecture`. */
export const ARCHITECTURES: Readonly<Record<string, ArchitectureTraits>> = {
  llama: { ropePairs: 'interleaved' },
};
