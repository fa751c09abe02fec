/**
 * Tensor types of GGUF files that Kvant reads. Numbers, block lengths and byte counts as in the GGUF specification
 * (ggml, `enum ggml_type`).
 */
export const WEIGHT_TYPES = {
  F32: { id: 0, blockElements: 1, blockBytes: 4 },
  F16: { id: 1, blockElements: 1, blockBytes: 2 },
  Q4_0: { id: 2, blockElements: 32, blockBytes: 18 },
  Q4_1: { id: 3, blockElements: 32, blockBytes: 20 },
  Q5_0: { id: 6, blockElements: 32, blockBytes: 22 },
  Q5_1: { id: 7, blockElements: 32, blockBytes: 24 },
  Q8_0: { id: 8, blockElements: 32, blockBytes: 34 },
  Q4_K: { id: 12, blockElements: 256, blockBytes: 144 },
  Q5_K: { id: 13, blockElements: 256, blockBytes: 176 },
  Q6_K: { id: 14, blockElements: 256, blockBytes: 210 },
  BF16: { id: 30, blockElements: 1, blockBytes: 2 },
} as const;

export type WeightType = keyof typeof WEIGHT_TYPES;

/** Bytes of a row of `numCols` weights; `numCols` must be whole blocks. */
export function rowBytes(type: WeightType, numCols: number): number {
  const { blockElements, blockBytes } = WEIGHT_TYPES[type];
  if (numCols % blockElements !== 0) throw new RangeError(`a row of ${numCols} is not whole blocks of ${type}`);
  return (numCols / blockElements) * blockBytes;
}
