/** Architectures that test models are made in. */
export type TestArchitecture = 'llama' | 'qwen2' | 'qwen3';

interface Heads {
  readonly headDim: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
}

/** Names and lengths of a layer's vectors that llama has not: biases in qwen2, norms of heads in qwen3. */
export function ownVectors(
  architecture: TestArchitecture,
  { headDim, numHeads, numKvHeads }: Heads,
): readonly (readonly [name: string, length: number])[] {
  const [queryWidth, keyWidth] = [numHeads * headDim, numKvHeads * headDim];
  const vectors = {
    llama: {},
    qwen2: { 'attn_q.bias': queryWidth, 'attn_k.bias': keyWidth, 'attn_v.bias': keyWidth },
    qwen3: { 'attn_q_norm.weight': headDim, 'attn_k_norm.weight': headDim },
  };
  return Object.entries(vectors[architecture]);
}
