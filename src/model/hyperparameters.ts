import { ARCHITECTURES } from './architectures.ts';
import type { Metadata } from './gguf-header.ts';
import { readMetadataValues } from './metadata-values.ts';
import type { MetadataValues } from './metadata-values.ts';
import { invalidModel, unsupportedModel } from './model-error.ts';
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

/**
 * Reads the hyperparameters from a GGUF file's metadata (keys as in
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, defaults as in llama.cpp).
 *
 * @throws KvantError MODEL_UNSUPPORTED for an architecture or a variant of it that Kvant does not run, MODEL_INVALID
 *   for a value that is missing or makes no sense
 */
export function readHyperparameters(fileName: string, metadata: Metadata): Hyperparameters {
  const architecture = readArchitecture(fileName, metadata);
  const values = readMetadataValues(fileName, architecture, metadata);
  refuseVariants(fileName, values);
  const numHeads = values['attention.head_count'];
  const numKvHeads = values['attention.head_count_kv'] ?? numHeads;
  if (numHeads % numKvHeads !== 0) {
    throw invalidModel(fileName, `has ${numHeads} query heads, which ${numKvHeads} KV heads cannot share evenly`);
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
    throw invalidModel(fileName, 'does not tell its architecture (metadata key "general.architecture")');
  }
  if (!Object.hasOwn(ARCHITECTURES, architecture)) {
    const supported = Object.keys(ARCHITECTURES).join(', ');
    throw unsupportedModel(fileName, `has the architecture ${quote(architecture)}; supported: ${supported}`);
  }
  const type = metadata['general.type'] ?? 'model';
  if (type !== 'model') {
    throw unsupportedModel(
      fileName,
      `holds no whole model ("general.type" is ${quote(String(type))}): give the model's own file`,
    );
  }
  return architecture;
}

/** Refuses what would otherwise be computed wrongly without a word. */
function refuseVariants(fileName: string, values: MetadataValues): void {
  if (values.expert_count > 0) {
    throw unsupportedModel(
      fileName,
      `is a mixture of ${values.expert_count} experts, which Kvant does not run: use a dense model`,
    );
  }
  if (!values['attention.causal']) {
    throw unsupportedModel(
      fileName,
      'attends in both directions (an embedding model): use a model that generates text',
    );
  }
  const window = values['attention.sliding_window'];
  if (window > 0 && window < values.context_length) {
    throw unsupportedModel(fileName, `attends to a sliding window of ${window} tokens, which Kvant does not run`);
  }
}

function readHeadDim(fileName: string, values: MetadataValues): number {
  const byWidth = values.embedding_length / values['attention.head_count'];
  const headDim = values['attention.key_length'] ?? byWidth;
  const valueLength = values['attention.value_length'] ?? byWidth;
  if (!Number.isInteger(headDim)) {
    throw invalidModel(
      fileName,
      `is ${values.embedding_length} wide, which ${values['attention.head_count']} heads cannot share evenly`,
    );
  }
  if (headDim !== valueLength) {
    throw unsupportedModel(
      fileName,
      `has keys of ${headDim} and values of ${valueLength} channels; Kvant runs models where they are equal`,
    );
  }
  if (headDim % HEAD_DIM_MULTIPLE !== 0 || headDim > MAX_HEAD_DIM) {
    const limit = `a multiple of ${HEAD_DIM_MULTIPLE}, at most ${MAX_HEAD_DIM}`;
    throw unsupportedModel(fileName, `has heads of ${headDim} channels; Kvant runs ${limit}`);
  }
  return headDim;
}

function readRopeDim(fileName: string, values: MetadataValues, headDim: number): number {
  const ropeDim = values['rope.dimension_count'] ?? headDim;
  if (ropeDim <= headDim && ropeDim % 2 === 0) return ropeDim;
  throw invalidModel(
    fileName,
    `rotates ${ropeDim} channels of heads that have ${headDim}; expected an even number up to that`,
  );
}

function readRopeScalingFactor(fileName: string, values: MetadataValues): number {
  const type = values['rope.scaling.type'];
  if (type === 'none') return 1;
  if (type !== 'linear') {
    throw unsupportedModel(
      fileName,
      `scales RoPE by ${quote(type)}; Kvant knows none, linear, and llama 3's "rope_freqs" tensor`,
    );
  }
  // llama.cpp takes 0 for "not scaled".
  return values['rope.scaling.factor'] || values['rope.scale_linear'] || 1;
}

function readVocabularySize(fileName: string, values: MetadataValues, metadata: Metadata): number {
  const tokens = metadata['tokenizer.ggml.tokens'];
  // As in llama.cpp the list of tokens counts, since fine-tuned files carry a stale vocab_size.
  if (Array.isArray(tokens) && tokens.length > 0) return tokens.length;
  if (values.vocab_size !== undefined) return values.vocab_size;
  throw invalidModel(fileName, 'has no vocabulary (metadata key "tokenizer.ggml.tokens")');
}
