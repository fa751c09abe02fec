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
  readonly merges: readonly (readonly [string, string])[];
  readonly ignoreMerges: boolean;
  readonly byteFallback: boolean;
  readonly unknownToken: string | undefined;
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
  // eslint-disable-next-line @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-call -- its types lack extensions, so NodeNext finds none
  return new LibraryTokenizer(
    {
      added_tokens: userDefinedTokens(vocabulary),
      normalizer: config.normalizer,
      pre_tokenizer: config.preTokenizer,
      post_processor: null,
      decoder: null,
      model: {
        type: 'BPE',
        vocab: encodableTokens(vocabulary, config.unknownToken),
        merges: config.merges,
        ignore_merges: config.ignoreMerges,
        byte_fallback: config.byteFallback,
        unk_token: config.unknownToken ?? null,
      },
    },
    {},
  );
}

function byteLevelConfig(metadata: TokenizerMetadata, vocabulary: Vocabulary): ModelConfig {
  const { patterns, ignoreMerges = false } = preTokenizerOf(metadata.preTokenizer);
  const splits = patterns.map((pattern) => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated' }));
  return {
    normalizer: null,
    // The library's own GPT-2 pattern has JavaScript's \s, which counts U+FEFF as a space and U+0085 as none.
    preTokenizer: { type: 'Sequence', pretokenizers: [...splits, { type: 'ByteLevel', use_regex: false }] },
    merges: byteLevelMerges(metadata.merges ?? [], vocabulary),
    ignoreMerges,
    byteFallback: false,
    unknownToken: undefined,
  };
}

/** Merges that make a control token are left out; the library would drop the text of a merge that makes no token. */
function byteLevelMerges(merges: readonly string[], { idOf, tokenTypes }: Vocabulary): [string, string][] {
  const pairs: [string, string][] = [];
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
    if (isEncodable(tokenTypes[id])) pairs.push([left, right]);
  });
  return pairs;
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
    merges: sentencePieceMerges(metadata.scores ?? new Float64Array(), vocabulary),
    ignoreMerges: false,
    byteFallback: true,
    unknownToken,
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
function sentencePieceMerges(scores: Float64Array, { tokens, tokenTypes, idOf }: Vocabulary): [string, string][] {
  const isHalf = (text: string): boolean => {
    const id = idOf.get(text);
    if (id !== undefined && tokenTypes[id] === TOKEN_TYPE.normal) return true;
    return text.length === 1 || (text.length === 2 && (text.codePointAt(0) ?? 0) > 0xffff);
  };
  const ids = tokens.map((_, id) => id).filter((id) => tokenTypes[id] === TOKEN_TYPE.normal);
  ids.sort((a, b) => scores[b] - scores[a] || a - b);
  const merges: [string, string][] = [];
  for (const id of ids) {
    const token = tokens[id];
    for (let end = token.length - 1; end > 0; end--) {
      const left = token.slice(0, end);
      const right = token.slice(end);
      if (left.isWellFormed() && isHalf(left) && isHalf(right)) merges.push([left, right]);
    }
  }
  return merges;
}

function isEncodable(tokenType: number): boolean {
  return tokenType === TOKEN_TYPE.normal || tokenType === TOKEN_TYPE.byte;
}

/** Without a prototype, so that a token such as `__proto__` is a key like any other. */
function encodableTokens({ tokens, tokenTypes }: Vocabulary, unknownToken: string | undefined): Record<string, number> {
  const ids = Object.create(null) as Record<string, number>;
  tokens.forEach((token, id) => {
    if (isEncodable(tokenTypes[id]) || token === unknownToken) ids[token] = id;
  });
  return ids;
}

/** User-defined tokens stand for plain text, and are found in it before anything else, whoever wrote it. */
function userDefinedTokens({ tokens, tokenTypes }: Vocabulary): object[] {
  return tokens.flatMap((content, id) =>
    tokenTypes[id] === TOKEN_TYPE.userDefined ? [{ id, content, normalized: false, special: false }] : [],
  );
}
