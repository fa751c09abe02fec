/**
 * Writes a GGUF file with random weights, for speed and memory at any shape; its text is noise. The architecture is llama where the shape
 * names no other. The same arguments write the same file everywhere. `npx node scripts/random-gguf.ts OUT.gguf qwen06 q4_0`
 */
import { open, type FileHandle } from 'node:fs/promises';
import { rowBytes, WEIGHT_TYPES } from '../src/kernels/weight-types.ts';
import { f16Bits } from '../src/quant/f16.ts';
import { writeGguf, type GgufTensorSpec, type GgufValue } from '../test/support/gguf-writer.ts';
import { ownVectors, type TestArchitecture } from '../test/support/own-vectors.ts';

interface Shape {
  /** Default llama. */
  readonly architecture?: TestArchitecture;
  readonly width: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly feedForward: number;
  readonly vocabulary: number;
}

const QWEN06 = {
  width: 1024,
  numLayers: 28,
  numHeads: 16,
  numKvHeads: 8,
  headDim: 128,
  feedForward: 3072,
  vocabulary: 151936,
};

/** Sizes as models of these names have them. `qwen06` has those of Qwen3-0.6B as a llama. */
const SHAPES = {
  smol135: { width: 576, numLayers: 30, numHeads: 9, numKvHeads: 3, headDim: 64, feedForward: 1536, vocabulary: 49152 },
  qwen06: QWEN06,
  'qwen3-06': { ...QWEN06, architecture: 'qwen3' },
  'qwen25-05': {
    architecture: 'qwen2',
    width: 896,
    numLayers: 24,
    numHeads: 14,
    numKvHeads: 2,
    headDim: 64,
    feedForward: 4864,
    vocabulary: 151936,
  },
  llama1b: {
    width: 2048,
    numLayers: 16,
    numHeads: 32,
    numKvHeads: 8,
    headDim: 64,
    feedForward: 8192,
    vocabulary: 128256,
  },
  llama8b: {
    width: 4096,
    numLayers: 32,
    numHeads: 32,
    numKvHeads: 8,
    headDim: 128,
    feedForward: 14336,
    vocabulary: 128256,
  },
} satisfies Record<string, Shape>;

/** The standard deviation of codes that are any with equal chance: what the scale makes up for. */
const WEIGHTS = { q4_0: { type: 'Q4_0', codeDeviation: 4.61 }, q8_0: { type: 'Q8_0', codeDeviation: 73.9 } } as const;
type Weights = (typeof WEIGHTS)[keyof typeof WEIGHTS];

const CONTEXT_LENGTH = 131_072;
const ROPE_BASE = 100_000;
const ALIGNMENT_BYTES = 32;
const CHUNK_BLOCKS = 2 ** 18;
const SPECIAL_TOKENS = ['<unk>', '<s>', '</s>'];
const NUM_BYTE_TOKENS = 256;
const [NORMAL, UNKNOWN, CONTROL, BYTE] = [1, 2, 3, 6];

const [path, shapeName, weightsName = 'q4_0'] = process.argv.slice(2);
if (path === undefined || !isKey(shapeName, SHAPES) || !isKey(weightsName, WEIGHTS)) {
  const usage = `usage: random-gguf.ts OUT.gguf ${Object.keys(SHAPES).join('|')} [${Object.keys(WEIGHTS).join('|')}]`;
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}
const file = await open(path, 'w');
await writeModel(file, SHAPES[shapeName], WEIGHTS[weightsName], `random ${shapeName} ${weightsName}`);
await file.close();

async function writeModel(file: FileHandle, shape: Shape, weights: Weights, name: string): Promise<void> {
  let dataBytes = 0;
  const tensors = tensorsOf(shape, weights).map((tensor) => {
    const placed = { ...tensor, offsetBytes: dataBytes, bytes: new Uint8Array(0) };
    dataBytes += roundUp(numBytesOf(tensor));
    return placed;
  });
  await file.write(writeGguf({ metadata: Object.entries(metadataOf(shape, name)), tensors }));
  const random = randomWords(1);
  for (const tensor of tensors) {
    if (tensor.type === 'F32') await file.write(new Uint8Array(new Float32Array(tensor.shape[0]).fill(1).buffer));
    else await writeBlocks(file, tensor, weights, random);
    const numBytes = numBytesOf(tensor);
    await file.write(new Uint8Array(roundUp(numBytes) - numBytes));
  }
}

interface Tensor extends GgufTensorSpec {
  readonly type: 'F32' | Weights['type'];
  readonly shape: readonly number[];
}

function tensorsOf(shape: Shape, { type }: Weights): Tensor[] {
  const { architecture = 'llama', width, numLayers, numHeads, numKvHeads, headDim, feedForward, vocabulary } = shape;
  const vector = (name: string, length = width): Tensor => ({ name, type: 'F32', shape: [length] });
  const matrix = (name: string, numCols: number, numRows: number): Tensor => ({
    name,
    type,
    shape: [numCols, numRows],
  });
  const tensors = [matrix('token_embd.weight', width, vocabulary), vector('output_norm.weight')];
  for (let layer = 0; layer < numLayers; layer++) {
    const at = `blk.${layer}.`;
    tensors.push(
      vector(`${at}attn_norm.weight`),
      matrix(`${at}attn_q.weight`, width, numHeads * headDim),
      matrix(`${at}attn_k.weight`, width, numKvHeads * headDim),
      matrix(`${at}attn_v.weight`, width, numKvHeads * headDim),
      matrix(`${at}attn_output.weight`, numHeads * headDim, width),
      vector(`${at}ffn_norm.weight`),
      matrix(`${at}ffn_gate.weight`, width, feedForward),
      matrix(`${at}ffn_up.weight`, width, feedForward),
      matrix(`${at}ffn_down.weight`, feedForward, width),
      ...ownVectors(architecture, shape).map(([name, length]) => vector(`${at}${name}`, length)),
    );
  }
  return tensors;
}

function metadataOf(shape: Shape, name: string): Record<string, GgufValue> {
  const { architecture = 'llama', width, numLayers, numHeads, numKvHeads, headDim, feedForward, vocabulary } = shape;
  const ids = Array.from({ length: vocabulary }, (_, id) => id);
  return {
    'general.architecture': architecture,
    'general.name': name,
    [`${architecture}.context_length`]: CONTEXT_LENGTH,
    [`${architecture}.embedding_length`]: width,
    [`${architecture}.block_count`]: numLayers,
    [`${architecture}.feed_forward_length`]: feedForward,
    [`${architecture}.attention.head_count`]: numHeads,
    [`${architecture}.attention.head_count_kv`]: numKvHeads,
    [`${architecture}.attention.layer_norm_rms_epsilon`]: 1e-5,
    [`${architecture}.attention.key_length`]: headDim,
    [`${architecture}.attention.value_length`]: headDim,
    [`${architecture}.rope.freq_base`]: { float32: ROPE_BASE },
    [`${architecture}.rope.dimension_count`]: headDim,
    [`${architecture}.vocab_size`]: vocabulary,
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': ids.map(tokenOf),
    'tokenizer.ggml.scores': ids.map((id) => ({ float32: -id })),
    'tokenizer.ggml.token_type': ids.map((id) => ({ int32: tokenTypeOf(id) })),
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
  };
}

function tokenOf(id: number): string {
  const byte = id - SPECIAL_TOKENS.length;
  if (byte < 0) return SPECIAL_TOKENS[id];
  if (byte < NUM_BYTE_TOKENS) return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
  return `\u2581t${id}`;
}

function tokenTypeOf(id: number): number {
  if (id < SPECIAL_TOKENS.length) return id === 0 ? UNKNOWN : CONTROL;
  return id < SPECIAL_TOKENS.length + NUM_BYTE_TOKENS ? BYTE : NORMAL;
}

/** Codes are random; scales are all the same, so that rows of unit variance stay so. */
async function writeBlocks(file: FileHandle, tensor: Tensor, weights: Weights, random: () => number): Promise<void> {
  const { blockBytes } = WEIGHT_TYPES[weights.type];
  const scale = f16Bits(1 / (Math.sqrt(tensor.shape[0]) * weights.codeDeviation));
  const numBlocks = numBytesOf(tensor) / blockBytes;
  for (let first = 0; first < numBlocks; first += CHUNK_BLOCKS) {
    const numBytes = Math.min(CHUNK_BLOCKS, numBlocks - first) * blockBytes;
    const words = new Uint32Array(Math.ceil(numBytes / 4));
    for (let i = 0; i < words.length; i++) words[i] = random();
    const view = new DataView(words.buffer, 0, numBytes);
    for (let at = 0; at < numBytes; at += blockBytes) view.setUint16(at, scale, true);
    await file.write(new Uint8Array(words.buffer, 0, numBytes));
  }
}

/** xorshift32 (Marsaglia 2003), which makes gigabytes in seconds. */
function randomWords(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state;
  };
}

function numBytesOf({ type, shape }: Tensor): number {
  const [numCols, numRows = 1] = shape;
  return numRows * rowBytes(type, numCols);
}

function roundUp(numBytes: number): number {
  return Math.ceil(numBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

function isKey<T extends object>(name: string | undefined, of: T): name is string & keyof T {
  return name !== undefined && Object.hasOwn(of, name);
}
