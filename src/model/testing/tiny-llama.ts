import { normalStream } from '../../../test/random-data.ts';
import type { GgufSpec, GgufTensorSpec, GgufValue } from '../../../test/support/gguf-writer.ts';
import { ownVectors, type TestArchitecture } from '../../../test/support/own-vectors.ts';

/** Sizes of the synthetic model. All differ, so that a mix-up shows. */
export const TINY = {
  numLayers: 2,
  width: 96,
  feedForward: 64,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 16,
  vocabulary: 40,
};

export interface TinyLlamaChanges {
  /** Added, replaced, or with `undefined` taken away. */
  readonly metadata?: Readonly<Record<string, GgufValue | undefined>>;
  readonly tensors?: Readonly<Record<string, Partial<GgufTensorSpec> | undefined>>;
}

/** A whole llama in F32 with Gaussian weights and an untied head; its heads are narrower than width / heads. */
export function tinyLlama(changes: TinyLlamaChanges = {}): GgufSpec {
  return tinyModel('llama', changes);
}

/** The same in another architecture, with the tensors that this one has besides. */
export function tinyModel(architecture: TestArchitecture, changes: TinyLlamaChanges = {}): GgufSpec {
  const metadata = new Map<string, GgufValue>(Object.entries(baseMetadata(architecture)));
  for (const [key, value] of Object.entries(changes.metadata ?? {})) {
    if (value === undefined) metadata.delete(key);
    else metadata.set(key, value);
  }
  const tensors = new Map(baseTensors(architecture).map((tensor) => [tensor.name, tensor]));
  for (const [name, change] of Object.entries(changes.tensors ?? {})) {
    const base: GgufTensorSpec = tensors.get(name) ?? { name, type: 'F32', shape: [32] };
    if (change === undefined) tensors.delete(name);
    else tensors.set(name, { ...withoutBytes(base), ...change });
  }
  return { metadata: [...metadata], tensors: [...tensors.values()] };
}

/** Data of the old shape or type would not fit the new one. */
function withoutBytes({ name, type, shape }: GgufTensorSpec): GgufTensorSpec {
  return { name, type, shape };
}

function baseMetadata(architecture: string): Record<string, GgufValue> {
  return {
    'general.architecture': architecture,
    'general.name': `tiny ${architecture}`,
    [`${architecture}.block_count`]: TINY.numLayers,
    [`${architecture}.context_length`]: 512,
    [`${architecture}.embedding_length`]: TINY.width,
    [`${architecture}.feed_forward_length`]: TINY.feedForward,
    [`${architecture}.attention.head_count`]: TINY.numHeads,
    [`${architecture}.attention.head_count_kv`]: TINY.numKvHeads,
    [`${architecture}.attention.key_length`]: TINY.headDim,
    [`${architecture}.attention.value_length`]: TINY.headDim,
    [`${architecture}.attention.layer_norm_rms_epsilon`]: 1e-5,
    [`${architecture}.rope.dimension_count`]: TINY.headDim,
    [`${architecture}.rope.freq_base`]: 10_000,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.tokens': Array.from({ length: TINY.vocabulary }, (_, id) => `t${id}`),
    'tokenizer.chat_template': '{{ messages[0].content }}',
  };
}

function baseTensors(architecture: TestArchitecture): GgufTensorSpec[] {
  const { width, feedForward, numHeads, numKvHeads, headDim, vocabulary } = TINY;
  const shapes: [string, number[]][] = [
    ['token_embd.weight', [width, vocabulary]],
    ['output_norm.weight', [width]],
    ['output.weight', [width, vocabulary]],
  ];
  for (let layer = 0; layer < TINY.numLayers; layer++) {
    shapes.push(
      [`blk.${layer}.attn_norm.weight`, [width]],
      [`blk.${layer}.attn_q.weight`, [width, numHeads * headDim]],
      [`blk.${layer}.attn_k.weight`, [width, numKvHeads * headDim]],
      [`blk.${layer}.attn_v.weight`, [width, numKvHeads * headDim]],
      [`blk.${layer}.attn_output.weight`, [numHeads * headDim, width]],
      [`blk.${layer}.ffn_norm.weight`, [width]],
      [`blk.${layer}.ffn_gate.weight`, [width, feedForward]],
      [`blk.${layer}.ffn_up.weight`, [width, feedForward]],
      [`blk.${layer}.ffn_down.weight`, [feedForward, width]],
      ...ownVectors(architecture, TINY).map(([name, length]): [string, number[]] => [`blk.${layer}.${name}`, [length]]),
    );
  }
  return shapes.map(([name, shape], index) => ({ name, type: 'F32', shape, bytes: gaussian(shape, index) }));
}

function gaussian(shape: readonly number[], seed: number): Uint8Array {
  const normal = normalStream(seed);
  const numElements = shape.reduce((product, length) => product * length, 1);
  const scale = shape.length === 1 ? 1 : 1 / Math.sqrt(shape[0]);
  return new Uint8Array(Float32Array.from({ length: numElements }, () => scale * normal()).buffer);
}
