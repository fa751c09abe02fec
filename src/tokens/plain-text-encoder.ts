import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { preTokenizerOf } from './pre-tokenizers.ts';
import type { TokenizerMetadata } from './tokenizer-metadata.ts';
import { invalid, TOKEN_TYPE } from './tokenizer-metadata.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Ids of text that holds no control tokens. */
export interface PlainTextEncoder {
  encode(text: string): { readonly ids: readonly number[] };
}

/** What of tokenizer.json (Hugging Face's format) differs between the two kinds of vocabulary. */
interface ModelConfig {
  readonly normalizer: object | null;
  readonly preTokenizer: object | null;
  readonly ignoreMerges: boolean;
  readonly byteFallback: boolean;
  readonly unknownToken: string | undefined;
  /** Ranks of merges, as the library keys them. */
  readonly ranks: Map<string, number>;
}

/** What of the library's BPE model is filled in here. */
interface LibraryModel {
  tokens_to_ids: Map<string, number>;
  bpe_ranks: Map<string, number>;
}

/**
 * The library's tokenizer over a GGUF file's vocabulary. It knows no control tokens: neither its vocabulary nor its
 * merges hold them, so that no text whatsoever can give one.
 * @throws KvantError MODEL_INVALID for merges or byte tokens that do not fit the vocabulary, MODEL_UNSUPPORTED for an
 * unknown pre-tokenizer.
 */
export function createPlainTextEncoder(metadata: TokenizerMetadata, vocabulary: Vocabulary): PlainTextEncoder {
  const config =
    metadata.model === 'gpt2' ? byteLevelConfig(metadata, vocabulary) : sentencePieceConfig(metadata, vocabulary);
  /* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-member-access --
     the library's types lack extensions, so NodeNext finds none */
  const library = new LibraryTokenizer(
    {
      added_tokens: userDefinedTokens(vocabulary),
      normalizer: config.normalizer,
      pre_tokenizer: config.preTokenizer,
      post_processor: null,
      decoder: null,
      model: {
        type: 'BPE',
        vocab: unknownVocabulary(vocabulary, config.unknownToken),
        merges: [],
        ignore_merges: config.ignoreMerges,
        byte_fallback: config.byteFallback,
        unk_token: config.unknownToken ?? null,
      },
    },
    {},
  );
  // Not from its configuration: of that the library makes several copies, which take most of the time and memory of it all.
  const model = library.model as LibraryModel;
  model.bpe_ranks = config.ranks;
  addEncodableTokens(model.tokens_to_ids, vocabulary);
  return library as PlainTextEncoder;
  /* eslint-enable */
}

function byteLevelConfig(metadata: TokenizerMetadata, vocabulary: Vocabulary): ModelConfig {
  const { patterns, ignoreMerges = false, composes = false } = preTokenizerOf(metadata.preTokenizer);
  const splits = patterns.map((pattern) => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated' }));
  return {
    normalizer: composes ? { type: 'NFC' } : null,
    // The library's own GPT-2 pattern has JavaScript's \s, which counts U+FEFF as a space and U+0085 as none.
    preTokenizer: { type: 'Sequence', pretokenizers: [...splits, { type: 'ByteLevel', use_regex: false }] },
    ignoreMerges,
    byteFallback: false,
    unknownToken: undefined,
    ranks: byteLevelRanks(metadata.merges ?? [], vocabulary),
  };
}

function addRank(ranks: Map<string, number>, left: string, right: string, rank: number): void {
  ranks.set(JSON.stringify([left, right]), rank);
}

/** Merges that make a control token are left out; the library would drop the text of a merge that makes no token. */
function byteLevelRanks(merges: readonly string[], { idOf, tokenTypes }: Vocabulary): Map<string, number> {
  const ranks = new Map<string, number>();
  merges.forEach((merge, index) => {
    const space = merge.indexOf(' ', 1);
    if (space < 0 || space === merge.length - 1) {
      throw invalid('tokenizer.ggml.merges', `holds '${merge}' at index ${index}, not two tokens joined by a space`);
    }
    const left = merge.slice(0, space);
    const right = merge.slice(space + 1);
    const id = idOf.get(left + right);
    if (id === undefined) {
      throw invalid('tokenizer.ggml.merges', `makes '${left + right}' at index ${index}, which is no token`);
    }
    if (isEncodable(tokenTypes[id])) addRank(ranks, left, right, index);
  });
  return ranks;
}

function sentencePieceConfig(metadata: TokenizerMetadata, vocabulary: Vocabulary): ModelConfig {
  const { unknownId } = metadata;
  const unknownToken = unknownId === undefined ? undefined : vocabulary.tokens[unknownId];
  const missing = missingByteTokens(vocabulary);
  if (missing.length > 0 && unknownToken === undefined) {
    throw invalid('tokenizer.ggml.tokens', `lacks ${missing[0]}, and there is no tokenizer.ggml.unknown_token_id`);
  }
  const escapeSpaces = { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' };
  const addPrefix = { type: 'Prepend', prepend: '\u2581' };
  const addSpacePrefix = metadata.addSpacePrefix ?? true;
  return {
    normalizer: { type: 'Sequence', normalizers: addSpacePrefix ? [addPrefix, escapeSpaces] : [escapeSpaces] },
    preTokenizer: hasSpaceInside(vocabulary) ? null : SPLIT_BEFORE_SPACES,
    ignoreMerges: false,
    byteFallback: true,
    unknownToken,
    ranks: sentencePieceRanks(metadata.scores ?? new Float64Array(), vocabulary),
  };
}

/** Where no token has a space after another character, no merge crosses such a place: words can be merged apart. */
const SPLIT_BEFORE_SPACES = { type: 'Split', pattern: { Regex: '\u2581*[^\u2581]+' }, behavior: 'Isolated' };

function hasSpaceInside({ tokens, tokenTypes }: Vocabulary): boolean {
  return tokens.some((token, id) => tokenTypes[id] === TOKEN_TYPE.normal && /[^\u2581]\u2581/.test(token));
}

function missingByteTokens({ idOf }: Vocabulary): string[] {
  const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');
  return Array.from({ length: 256 }, (_, byte) => `<0x${hex(byte)}>`).filter((token) => !idOf.has(token));
}

/**
 * SentencePiece keeps no merges: it joins the two neighbours that make the token with the highest score. The same as
 * a list: every split of every token in two, by falling score, as Hugging Face transformers converts such models
 * (`generate_merges` in convert_slow_tokenizer.py). A half is a token too, or a single character, which SentencePiece
 * joins even where it is no token by itself.
 */
function sentencePieceRanks(scores: Float64Array, { tokens, tokenTypes, idOf }: Vocabulary): Map<string, number> {
  const isHalf = (text: string): boolean => {
    const id = idOf.get(text);
    if (id !== undefined && tokenTypes[id] === TOKEN_TYPE.normal) return true;
    return text.length === 1 || (text.length === 2 && (text.codePointAt(0) ?? 0) > 0xffff);
  };
  const ids = tokens.map((_, id) => id).filter((id) => tokenTypes[id] === TOKEN_TYPE.normal);
  ids.sort((a, b) => scores[b] - scores[a] || a - b);
  const ranks = new Map<string, number>();
  for (const id of ids) {
    const token = tokens[id];
    for (let end = token.length - 1; end > 0; end--) {
      const left = token.slice(0, end);
      const right = token.slice(end);
      if (left.isWellFormed() && isHalf(left) && isHalf(right)) addRank(ranks, left, right, ranks.size);
    }
  }
  return ranks;
}

function isEncodable(tokenType: number): boolean {
  return tokenType === TOKEN_TYPE.normal || tokenType === TOKEN_TYPE.byte;
}

function addEncodableTokens(ids: Map<string, number>, { tokens, tokenTypes }: Vocabulary): void {
  tokens.forEach((token, id) => {
    if (isEncodable(tokenTypes[id])) ids.set(token, id);
  });
}

/** The unknown token, which need not be one that text can give. Without a prototype: it may be called `__proto__`. */
function unknownVocabulary({ idOf }: Vocabulary, unknownToken: string | undefined): Record<string, number> {
  const ids = Object.create(null) as Record<string, number>;
  const id = unknownToken === undefined ? undefined : idOf.get(unknownToken);
  if (unknownToken !== undefined && id !== undefined) ids[unknownToken] = id;
  return ids;
}

/** User-defined tokens stand for plain text, and are found in it before anything else, whoever wrote it. */
function userDefinedTokens({ tokens, tokenTypes }: Vocabulary): object[] {
  return tokens.flatMap((content, id) =>
    tokenTypes[id] === TOKEN_TYPE.userDefined ? [{ id, content, normalized: false, special: false }] : [],
  );
}
