import { KvantError } from '../errors.ts';
import { BYTE_TO_CHARACTER } from './byte-level.ts';
import type { PlainTextEncoder } from './plain-text-encoder.ts';
import { createPlainTextEncoder } from './plain-text-encoder.ts';
import { preTokenizerOf } from './pre-tokenizers.ts';
import type { Segment } from './special-token-splitter.ts';
import { SpecialTokenSplitter } from './special-token-splitter.ts';
import { StreamingDetokenizer } from './streaming-detokenizer.ts';
import type { ModelMetadata, TokenizerMetadata } from './tokenizer-metadata.ts';
import { readTokenizerMetadata, TOKEN_TYPE } from './tokenizer-metadata.ts';
import type { Vocabulary } from './vocabulary.ts';
import { buildVocabulary, bytesOfToken, isControlType } from './vocabulary.ts';

/**
 * Text to token ids and back, with the vocabulary of a GGUF file. Gives the ids that llama.cpp gives, but for decomposed
 * text where a model was trained on composed text (`PreTokenizer.composes`).
 *
 * Bytes that the vocabulary cannot express (`missingBytes`) are left out of the ids, as in llama.cpp.
 */
export class Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  /** Whether prompts begin with BOS. `encode` never adds it. */
  readonly addBos: boolean;
  /** Tokens that end an answer: EOS, end of turn, and whatever else the model may end with. */
  readonly endIds: ReadonlySet<number>;
  /** Bytes that no token can express; empty for all but a few byte-level vocabularies. */
  readonly missingBytes: readonly number[];
  /** Whether the first text after the start or a special token gets a leading space, which decoding takes away. */
  readonly addsSpacePrefix: boolean;
  readonly splitter: SpecialTokenSplitter;
  readonly #model: TokenizerMetadata['model'];
  readonly #tokens: readonly string[];
  readonly #tokenTypes: Uint8Array;
  /** Of special tokens alone: the whole vocabulary's is the encoder's, and large. */
  readonly #specialIds: ReadonlyMap<string, number>;
  readonly #encoder: PlainTextEncoder;

  /**
   * @param metadata key-value pairs of a GGUF file; reads the keys `tokenizer.ggml.*`
   * @throws KvantError MODEL_INVALID naming the key that is missing or wrong, MODEL_UNSUPPORTED for a tokenizer model or
   * pre-tokenizer that is not known.
   */
  constructor(metadata: ModelMetadata) {
    const read = readTokenizerMetadata(metadata);
    const vocabulary = buildVocabulary(read);
    this.#model = read.model;
    this.#tokens = vocabulary.tokens;
    this.#tokenTypes = vocabulary.tokenTypes;
    this.#encoder = createPlainTextEncoder(read, vocabulary);
    this.vocabularySize = read.tokens.length;
    this.bosId = read.bosId;
    this.eosId = read.eosId;
    this.addBos = addsBos(read);
    this.endIds = vocabulary.endIds;
    this.missingBytes = read.model === 'gpt2' ? missingBytes(vocabulary) : [];
    this.addsSpacePrefix = read.model === 'llama' && (read.addSpacePrefix ?? true);
    this.#specialIds = specialIds(vocabulary);
    this.splitter = new SpecialTokenSplitter([...this.#specialIds.keys()]);
  }

  /**
   * Ids of a text, without BOS. Control tokens that the text spells out are plain text, unless `parseSpecial` says that
   * they are meant. User-defined tokens are found either way: they are text by definition.
   */
  encode(text: string, { parseSpecial = false }: { readonly parseSpecial?: boolean } = {}): number[] {
    return this.encodeSegments(parseSpecial ? this.splitter.split(text) : [{ text }]);
  }

  /** Ids of text that is split already: special tokens give their id, all else is plain text whatever it spells. */
  encodeSegments(segments: readonly Segment[]): number[] {
    const ids: number[] = [];
    for (const segment of segments) {
      if ('specialToken' in segment) ids.push(this.#idOf(segment.specialToken));
      else for (const id of this.#encoder.encode(segment.text).ids) ids.push(id);
    }
    return ids;
  }

  /**
   * Text of ids. Bytes that are no UTF-8 become U+FFFD.
   * @param options.skipSpecial whether control tokens give no text; default true
   * @throws KvantError INVALID_OPTION for an id outside the vocabulary.
   */
  decode(ids: readonly number[], options: { readonly skipSpecial?: boolean } = {}): string {
    const detokenizer = new StreamingDetokenizer(this, options);
    return ids.map((id) => detokenizer.push(id).text).join('') + detokenizer.flush().text;
  }

  /**
   * Raw bytes that a token stands for; a UTF-8 character may lie across several tokens. For a control token the bytes
   * of its name, for an unused one none.
   * @throws KvantError INVALID_OPTION for an id outside the vocabulary.
   */
  tokenBytes(id: number): Uint8Array {
    this.#checkId(id);
    return bytesOfToken(this.#model, this.#tokens[id], this.#tokenTypes[id]);
  }

  /** Whether the token is markup (control or unknown), not text. */
  isControl(id: number): boolean {
    this.#checkId(id);
    return isControlType(this.#tokenTypes[id]);
  }

  /** Whether text that follows the token gets a leading space where `addsSpacePrefix`. */
  startsText(id: number): boolean {
    return this.isControl(id) || this.#tokenTypes[id] === TOKEN_TYPE.userDefined;
  }

  /** The token as the vocabulary spells it, such as `<|im_end|>`. */
  tokenText(id: number): string {
    this.#checkId(id);
    return this.#tokens[id];
  }

  #idOf(token: string): number {
    const id = this.#specialIds.get(token);
    if (id === undefined) {
      throw new KvantError('INVALID_OPTION', `'${token}' is no special token of the model's vocabulary.`);
    }
    return id;
  }

  #checkId(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabularySize) return;
    throw new KvantError(
      'INVALID_OPTION',
      `Token id ${id} is outside the model's vocabulary of ${this.vocabularySize} tokens (0 to ${this.vocabularySize - 1}).`,
    );
  }
}

/** @throws KvantError MODEL_INVALID when prompts must begin with a BOS that the file does not name. */
function addsBos(metadata: TokenizerMetadata): boolean {
  const usual = metadata.model === 'llama' || (preTokenizerOf(metadata.preTokenizer).addBos ?? false);
  if (metadata.bosId !== undefined) return metadata.addBos ?? usual;
  if (metadata.addBos !== true) return false;
  throw new KvantError(
    'MODEL_INVALID',
    "The model's vocabulary cannot be read: tokenizer.ggml.add_bos_token is true, but tokenizer.ggml.bos_token_id is missing.",
  );
}

function specialIds({ tokens, tokenTypes }: Vocabulary): Map<string, number> {
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (token !== '' && isControlType(tokenTypes[id])) ids.set(token, id);
  });
  return ids;
}

function missingBytes({ idOf }: Vocabulary): number[] {
  return BYTE_TO_CHARACTER.flatMap((character, byte) => (idOf.has(character) ? [] : [byte]));
}
