import { KvantError } from '../errors.ts';

/** Key-value pairs of a GGUF file, as a GGUF reader gives them. */
export type ModelMetadata = Readonly<Record<string, unknown>>;

/** `llama_token_type` of llama.cpp, as stored in `tokenizer.ggml.token_type`. */
export const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** The part of a GGUF file's metadata that tells of its vocabulary, checked. */
export interface TokenizerMetadata {
  /** `gpt2`: byte-level BPE with merges. `llama`: SentencePiece BPE with scores. */
  readonly model: 'gpt2' | 'llama';
  readonly preTokenizer: string | undefined;
  /** [vocabularySize] */
  readonly tokens: readonly string[];
  /** [vocabularySize], values of TOKEN_TYPE. */
  readonly tokenTypes: Uint8Array;
  /** [vocabularySize]; present for `llama`. */
  readonly scores: Float64Array | undefined;
  /** Pairs joined by a space, first merged first; present for `gpt2`. */
  readonly merges: readonly string[] | undefined;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly eotId: number | undefined;
  readonly eomId: number | undefined;
  readonly unknownId: number | undefined;
  readonly addBos: boolean | undefined;
  readonly addSpacePrefix: boolean | undefined;
}

/** SentencePiece's own defaults, which older files leave out. */
const LLAMA_DEFAULT_IDS = { unknown: 0, bos: 1, eos: 2 };

/**
 * Reads and checks the vocabulary's metadata (keys `tokenizer.ggml.*`, see the GGUF specification of ggml).
 * @throws KvantError MODEL_INVALID naming the key that is missing, of a wrong type, or inconsistent with the others;
 * MODEL_UNSUPPORTED for a kind of tokenizer other than `gpt2` and `llama`.
 */
export function readTokenizerMetadata(metadata: ModelMetadata): TokenizerMetadata {
  const model = modelOf(metadata);
  const tokens = requiredStrings(metadata, 'tokenizer.ggml.tokens');
  if (tokens.length === 0) throw invalid('tokenizer.ggml.tokens', 'is empty');
  const defaults = model === 'llama' ? LLAMA_DEFAULT_IDS : undefined;
  const id = (name: string, otherwise?: number): number | undefined =>
    optionalId(metadata, `tokenizer.ggml.${name}_token_id`, tokens.length, otherwise);
  return {
    model,
    preTokenizer: optional(metadata, 'tokenizer.ggml.pre', 'string'),
    tokens,
    tokenTypes: tokenTypesOf(metadata, tokens),
    scores: model === 'llama' ? scoresOf(metadata, tokens.length) : undefined,
    merges: model === 'gpt2' ? requiredStrings(metadata, 'tokenizer.ggml.merges') : undefined,
    bosId: id('bos', defaults?.bos),
    eosId: id('eos', defaults?.eos),
    eotId: id('eot'),
    eomId: id('eom'),
    unknownId: id('unknown', defaults?.unknown),
    addBos: optional(metadata, 'tokenizer.ggml.add_bos_token', 'boolean'),
    addSpacePrefix: optional(metadata, 'tokenizer.ggml.add_space_prefix', 'boolean'),
  };
}

/** An error about one key of the file's metadata. */
export function invalid(key: string, problem: string): KvantError {
  return new KvantError(
    'MODEL_INVALID',
    `The model's vocabulary cannot be read: ${key} ${problem}. Download the file again, or convert the model anew.`,
  );
}

function modelOf(metadata: ModelMetadata): 'gpt2' | 'llama' {
  const model = optional(metadata, 'tokenizer.ggml.model', 'string');
  if (model === undefined) throw invalid('tokenizer.ggml.model', 'is missing');
  if (model === 'gpt2' || model === 'llama') return model;
  throw new KvantError(
    'MODEL_UNSUPPORTED',
    `The model's tokenizer '${model}' (tokenizer.ggml.model) is not supported. Supported: gpt2 (byte-level BPE), llama (SentencePiece BPE).`,
  );
}

interface PrimitiveTypes {
  string: string;
  boolean: boolean;
}

/** The value of a key that may be absent. */
export function optional<T extends keyof PrimitiveTypes>(
  metadata: ModelMetadata,
  key: string,
  type: T,
): PrimitiveTypes[T] | undefined {
  const value = metadata[key];
  if (value === undefined) return undefined;
  if (typeof value !== type) throw invalid(key, `is not a ${type}`);
  return value as PrimitiveTypes[T];
}

function optionalId(
  metadata: ModelMetadata,
  key: string,
  vocabularySize: number,
  otherwise: number | undefined,
): number | undefined {
  const value = metadata[key];
  if (value === undefined) return otherwise !== undefined && otherwise < vocabularySize ? otherwise : undefined;
  if (typeof value !== 'number' && typeof value !== 'bigint') throw invalid(key, 'is not a number');
  const id = Number(value);
  if (!Number.isInteger(id) || id < 0 || id >= vocabularySize) {
    throw invalid(key, `is ${id}, outside the vocabulary of ${vocabularySize} tokens`);
  }
  return id;
}

function requiredStrings(metadata: ModelMetadata, key: string): readonly string[] {
  const values = metadata[key];
  if (values === undefined) throw invalid(key, 'is missing');
  if (!Array.isArray(values)) throw invalid(key, 'is not an array');
  const wrong = values.findIndex((value) => typeof value !== 'string');
  if (wrong >= 0) throw invalid(key, `holds something other than a string at index ${wrong}`);
  return values as string[];
}

/** Numbers of a key with one value per token; undefined where the key is absent. */
function optionalNumbers(metadata: ModelMetadata, key: string, vocabularySize: number): Float64Array | undefined {
  const values = metadata[key];
  if (values === undefined) return undefined;
  if (!Array.isArray(values) && !ArrayBuffer.isView(values)) throw invalid(key, 'is not an array');
  const numbers = Float64Array.from(values as ArrayLike<number | bigint>, Number);
  if (numbers.length !== vocabularySize) {
    throw invalid(key, `holds ${numbers.length} values for ${vocabularySize} tokens`);
  }
  const wrong = numbers.findIndex(Number.isNaN);
  if (wrong >= 0) throw invalid(key, `holds something other than a number at index ${wrong}`);
  return numbers;
}

function scoresOf(metadata: ModelMetadata, vocabularySize: number): Float64Array {
  const scores = optionalNumbers(metadata, 'tokenizer.ggml.scores', vocabularySize);
  if (scores === undefined) throw invalid('tokenizer.ggml.scores', 'is missing');
  return scores;
}

/** Absent types mean that every token is a normal one. Empty tokens are placeholders that no text can give. */
function tokenTypesOf(metadata: ModelMetadata, tokens: readonly string[]): Uint8Array {
  const stored = optionalNumbers(metadata, 'tokenizer.ggml.token_type', tokens.length);
  const types = stored === undefined ? new Uint8Array(tokens.length).fill(TOKEN_TYPE.normal) : Uint8Array.from(stored);
  tokens.forEach((token, id) => {
    if (token === '') types[id] = TOKEN_TYPE.unused;
    if (types[id] === TOKEN_TYPE.byte && !/^<0x[0-9A-F]{2}>$/.test(token)) {
      throw invalid('tokenizer.ggml.tokens', `holds '${token}' at index ${id}, a byte token that is not like <0x0A>`);
    }
  });
  return types;
}
