import * as z from 'zod';
import { KvantError } from '../errors.ts';
import { ARCHITECTURES } from './architectures.ts';
import type { Metadata } from './gguf-header.ts';
import { quote } from './messages.ts';

/** What shapes a model: sizes, and the constants of its norms and rotary embedding. */
export interface Hyperparameters {
  /** A key of ARCHITECTURES. */
  readonly architecture: string;
  readonly numLayers: number;
  /** Width of the residual stream. */
  readonly embeddingLength: number;
  readonly feedForwardLength: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** Channels of a head, in keys and in values. */
  readonly headDim: number;
  /** Channels of a head that are rotated: the first ones. */
  readonly ropeDim: number;
  readonly ropeBase: number;
  /** Positions are divided by this (linear scaling, arXiv 2306.15595); 1 leaves them alone. */
  readonly ropeScalingFactor: number;
  readonly rmsEpsilon: number;
  /** Positions that the model was trained for. */
  readonly contextLength: number;
  readonly vocabularySize: number;
}

/** Most channels of a head that the kernels are built for, and what it must be a multiple of. */
const MAX_HEAD_DIM = 256;
const HEAD_DIM_MULTIPLE = 16;
/** Far above any model. They keep a hostile header from asking for millions of tensors. */
const MAX_LAYERS = 4096;
const MAX_LENGTH = 2 ** 24;

/** Keys that may hold an array with a value for each layer. */
const PER_LAYER_KEYS = ['feed_forward_length', 'attention.head_count', 'attention.head_count_kv'];

const count = (max: number) => z.preprocess(toNumber, z.int().positive().max(max));
const positive = z.preprocess(toNumber, z.number().positive());

/** Keys of the GGUF specification, without the architecture's name before them. Others are not looked at. */
const schema = z.object({
  block_count: count(MAX_LAYERS),
  context_length: count(2 ** 31),
  embedding_length: count(MAX_LENGTH),
  feed_forward_length: count(MAX_LENGTH),
  vocab_size: count(MAX_LENGTH).optional(),
  'attention.head_count': count(MAX_LENGTH),
  'attention.head_count_kv': count(MAX_LENGTH).optional(),
  'attention.key_length': count(MAX_LENGTH).optional(),
  'attention.value_length': count(MAX_LENGTH).optional(),
  'attention.layer_norm_rms_epsilon': positive,
  'attention.causal': z.boolean().default(true),
  'attention.sliding_window': z.preprocess(toNumber, z.int().nonnegative()).default(0),
  'rope.dimension_count': count(MAX_LENGTH).optional(),
  'rope.freq_base': positive.default(10_000),
  'rope.scaling.type': z.string().default('linear'),
  'rope.scaling.factor': z.preprocess(toNumber, z.number().nonnegative()).optional(),
  // The name of `rope.scaling.factor` in files of 2023.
  'rope.scale_linear': z.preprocess(toNumber, z.number().nonnegative()).optional(),
  expert_count: z.preprocess(toNumber, z.int().nonnegative()).default(0),
});

type Values = z.infer<typeof schema>;

/**
 * Reads the hyperparameters from a GGUF file's metadata (keys as in
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, defaults as in llama.cpp).
 *
 * @throws KvantError MODEL_UNSUPPORTED for an architecture or a variant of it that Kvant does not run, MODEL_INVALID for a value
 *   that is missing or makes no sense
 */
export function readHyperparameters(fileName: string, metadata: Metadata): Hyperparameters {
  const architecture = readArchitecture(fileName, metadata);
  const values = readValues(fileName, architecture, metadata);
  refuseVariants(fileName, values);
  const numHeads = values['attention.head_count'];
  const numKvHeads = values['attention.head_count_kv'] ?? numHeads;
  if (numHeads % numKvHeads !== 0) {
    throw invalid(fileName, `has ${numHeads} query heads, which ${numKvHeads} KV heads cannot share evenly`);
  }
  const headDim = readHeadDim(fileName, values);
  return {
    architecture,
    numLayers: values.block_count,
    embeddingLength: values.embedding_length,
    feedForwardLength: values.feed_forward_length,
    numHeads,
    numKvHeads,
    headDim,
    ropeDim: readRopeDim(fileName, values, headDim),
    ropeBase: values['rope.freq_base'],
    ropeScalingFactor: readRopeScalingFactor(fileName, values),
    rmsEpsilon: values['attention.layer_norm_rms_epsilon'],
    contextLength: values.context_length,
    vocabularySize: readVocabularySize(fileName, values, metadata),
  };
}

function readArchitecture(fileName: string, metadata: Metadata): string {
  const architecture = metadata['general.architecture'];
  if (typeof architecture !== 'string') {
    throw invalid(fileName, 'does not tell its architecture (metadata key "general.architecture")');
  }
  if (!Object.hasOwn(ARCHITECTURES, architecture)) {
    const supported = Object.keys(ARCHITECTURES).join(', ');
    throw unsupported(fileName, `has the architecture ${quote(architecture)}; supported: ${supported}`);
  }
  const type = metadata['general.type'] ?? 'model';
  if (type !== 'model') {
    throw unsupported(fileName, `holds no whole model ("general.type" is ${quote(String(type))}): give the model's own file`);
  }
  return architecture;
}

function readValues(fileName: string, architecture: string, metadata: Metadata): Values {
  const values: Record<string, unknown> = {};
  for (const key of Object.keys(schema.shape)) {
    const value = metadata[`${architecture}.${key}`];
    if (value === undefined) continue;
    const perLayer = PER_LAYER_KEYS.includes(key) && Array.isArray(value);
    if (perLayer && value.some((other) => other !== value[0])) {
      throw unsupported(fileName, `has a ${quote(`${architecture}.${key}`)} of its own for each layer, which Kvant does not run`);
    }
    values[key] = perLayer ? value[0] : value;
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const key = String(issue.path[0]);
  const found = key in values ? `is ${quote(String(values[key]))} (${issue.message})` : 'is missing';
  throw invalid(fileName, `cannot be run: its metadata key ${quote(`${architecture}.${key}`)} ${found}`);
}

/** Refuses what would otherwise be computed wrongly without a word. */
function refuseVariants(fileName: string, values: Values): void {
  if (values.expert_count > 0) {
    throw unsupported(fileName, `is a mixture of ${values.expert_count} experts, which Kvant does not run: use a dense model`);
  }
  if (!values['attention.causal']) {
    throw unsupported(fileName, 'attends in both directions (an embedding model): use a model that generates text');
  }
  const window = values['attention.sliding_window'];
  if (window > 0 && window < values.context_length) {
    throw unsupported(fileName, `attends to a sliding window of ${window} tokens, which Kvant does not run`);
  }
}

function readHeadDim(fileName: string, values: Values): number {
  const byWidth = values.embedding_length / values['attention.head_count'];
  const headDim = values['attention.key_length'] ?? byWidth;
  const valueLength = values['attention.value_length'] ?? byWidth;
  if (!Number.isInteger(headDim)) {
    throw invalid(
      fileName,
      `is ${values.embedding_length} wide, which ${values['attention.head_count']} heads cannot share evenly`,
    );
  }
  if (headDim !== valueLength) {
    throw unsupported(fileName, `has keys of ${headDim} and values of ${valueLength} channels; Kvant runs models where they are equal`);
  }
  if (headDim % HEAD_DIM_MULTIPLE !== 0 || headDim > MAX_HEAD_DIM) {
    const limit = `a multiple of ${HEAD_DIM_MULTIPLE}, at most ${MAX_HEAD_DIM}`;
    throw unsupported(fileName, `has heads of ${headDim} channels; Kvant runs ${limit}`);
  }
  return headDim;
}

function readRopeDim(fileName: string, values: Values, headDim: number): number {
  const ropeDim = values['rope.dimension_count'] ?? headDim;
  if (ropeDim <= headDim && ropeDim % 2 === 0) return ropeDim;
  throw invalid(fileName, `rotates ${ropeDim} channels of heads that have ${headDim}; expected an even number up to that`);
}

function readRopeScalingFactor(fileName: string, values: Values): number {
  const type = values['rope.scaling.type'];
  if (type === 'none') return 1;
  if (type !== 'linear') {
    throw unsupported(fileName, `scales RoPE by ${quote(type)}; Kvant knows none, linear, and llama 3's "rope_freqs" tensor`);
  }
  // llama.cpp takes 0 for "not scaled".
  return values['rope.scaling.factor'] || values['rope.scale_linear'] || 1;
}

function readVocabularySize(fileName: string, values: Values, metadata: Metadata): number {
  const tokens = metadata['tokenizer.ggml.tokens'];
  // As in llama.cpp the list of tokens counts, since fine-tuned files carry a stale vocab_size.
  if (Array.isArray(tokens) && tokens.length > 0) return tokens.length;
  if (values.vocab_size !== undefined) return values.vocab_size;
  throw invalid(fileName, 'has no vocabulary (metadata key "tokenizer.ggml.tokens")');
}

function toNumber(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

function unsupported(fileName: string, reason: string): KvantError {
  return new KvantError('MODEL_UNSUPPORTED', `${quote(fileName)} ${reason}`);
}

function invalid(fileName: string, reason: string): KvantError {
  return new KvantError('MODEL_INVALID', `${quote(fileName)} ${reason}: download or convert it again`);
}
