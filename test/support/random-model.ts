import { normalStream, uniformStream } from '../random-data.ts';
import { writeGguf, type GgufTensorSpec, type GgufValue } from './gguf-writer.ts';
import { ownVectors, type TestArchitecture } from './own-vectors.ts';

export interface RandomModelShape {
  readonly architecture: TestArchitecture;
  readonly headDim: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
}

const NUM_LAYERS = 2;
const FEED_FORWARD = 160;
const VOCABULARY = 64;
const CONTEXT_LENGTH = 2048;

/**
 * A GGUF file of a model with random quantized weights (Q8_0 and Q4_0). Its text makes no sense, but its logits depend
 * on every bit of every key and value, so that two of them are only equal if everything before was.
 */
export function randomModel(shape: RandomModelShape): Uint8Array {
  const { architecture, headDim, numHeads, numKvHeads } = shape;
  const width = headDim * numHeads;
  const metadata: Record<string, GgufValue> = {
    'general.architecture': architecture,
    [`${architecture}.block_count`]: NUM_LAYERS,
    [`${architecture}.context_length`]: CONTEXT_LENGTH,
    [`${architecture}.embedding_length`]: width,
    [`${architecture}.feed_forward_length`]: FEED_FORWARD,
    [`${architecture}.attention.head_count`]: numHeads,
    [`${architecture}.attention.head_count_kv`]: numKvHeads,
    [`${architecture}.attention.layer_norm_rms_epsilon`]: 1e-5,
    [`${architecture}.rope.dimension_count`]: headDim,
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.tokens': Array.from({ length: VOCABULARY }, (_, id) => String.fromCodePoint(0x41 + id)),
    'tokenizer.ggml.merges': ['A A'],
  };
  (metadata['tokenizer.ggml.tokens'] as string[])[VOCABULARY - 1] = 'AA';
  const tensors = [matrix('token_embd.weight', 'Q8_0', width, VOCABULARY), vector('output_norm.weight', width)];
  for (let layer = 0; layer < NUM_LAYERS; layer++) {
    tensors.push(
      vector(`blk.${layer}.attn_norm.weight`, width),
      matrix(`blk.${layer}.attn_q.weight`, 'Q4_0', width, width),
      matrix(`blk.${layer}.attn_k.weight`, 'Q8_0', width, numKvHeads * headDim),
      matrix(`blk.${layer}.attn_v.weight`, 'Q4_0', width, numKvHeads * headDim),
      matrix(`blk.${layer}.attn_output.weight`, 'Q4_0', width, width),
      vector(`blk.${layer}.ffn_norm.weight`, width),
      matrix(`blk.${layer}.ffn_gate.weight`, 'Q4_0', width, FEED_FORWARD),
      matrix(`blk.${layer}.ffn_up.weight`, 'Q8_0', width, FEED_FORWARD),
      matrix(`blk.${layer}.ffn_down.weight`, 'Q4_0', FEED_FORWARD, width),
      ...ownVectors(architecture, shape).map(([name, length]) => vector(`blk.${layer}.${name}`, length)),
    );
  }
  return writeGguf({ metadata: Object.entries(metadata), tensors });
}

function vector(name: string, length: number): GgufTensorSpec {
  const normal = normalStream(seedOf(name));
  const values = Float32Array.from({ length }, () => 1 + 0.3 * normal());
  return { name, type: 'F32', shape: [length], bytes: new Uint8Array(values.buffer) };
}

const BLOCK_ELEMENTS = 32;
/**
 * Bytes of codes in a block, and a scale that makes rows of some hundred random weights about as long as their input.
 */
const BLOCKS = {
  Q8_0: { codeBytes: 32, scaleF16: 0x1400 },
  Q4_0: { codeBytes: 16, scaleF16: 0x2400 },
} as const;

/** Blocks of one scale and random codes. */
function matrix(name: string, type: keyof typeof BLOCKS, numCols: number, numRows: number): GgufTensorSpec {
  const { codeBytes, scaleF16 } = BLOCKS[type];
  const uniform = uniformStream(seedOf(name));
  const numBlocks = (numCols / BLOCK_ELEMENTS) * numRows;
  const bytes = new Uint8Array(numBlocks * (2 + codeBytes));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < numBlocks; block++) {
    const start = block * (2 + codeBytes);
    view.setUint16(start, scaleF16, true);
    for (let i = 0; i < codeBytes; i++) bytes[start + 2 + i] = Math.floor(uniform() * 256);
  }
  return { name, type, shape: [numCols, numRows], bytes };
}

/** A different one for every tensor. */
function seedOf(name: string): number {
  return [...name].reduce((seed, character) => (Math.imul(seed, 31) + character.charCodeAt(0)) | 0, 7);
}
