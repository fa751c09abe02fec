import { byteLevelBytes } from './byte-level.ts';
import type { TokenizerMetadata } from './tokenizer-metadata.ts';
import { invalid, TOKEN_TYPE } from './tokenizer-metadata.ts';

/** The tokens of a model: which text stands for which id, and what kind of token it is. */
export interface Vocabulary {
  /** [vocabularySize] */
  readonly tokens: readonly string[];
  /** [vocabularySize], values of TOKEN_TYPE; tokens known to end a turn are control tokens, whatever the file says. */
  readonly tokenTypes: Uint8Array;
  readonly idOf: ReadonlyMap<string, number>;
  /** Tokens that end the model's answer. */
  readonly endIds: ReadonlySet<number>;
}

/** Texts of tokens that end an answer, as in llama.cpp (`special_eog_ids` in src/llama-vocab.cpp). */
const END_TOKENS: readonly string[] = [
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|flush|>',
  '<|calls|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '</s>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '[EOT]',
  '[EOS]',
  '<|end_of_text|>',
  '<end_of_utterance>',
  '<eos>',
  '<｜end▁of▁sentence｜>',
  '[e~[',
  // A model of code that begins another file has ended its answer.
  '<|fim_pad|>',
  '<fim-pad>',
  '<fim_pad>',
  '<PAD>',
  '[PAD]',
  '<|fim_repo|>',
  '<|repo_name|>',
  '<fim-repo>',
  '<REPO>',
  '<reponame>',
  '<|file_sep|>',
];

/**
 * The vocabulary that the metadata describes.
 * @throws KvantError MODEL_INVALID when two ids have the same text.
 */
export function buildVocabulary(metadata: TokenizerMetadata): Vocabulary {
  const { tokens } = metadata;
  const tokenTypes = metadata.tokenTypes.slice();
  const idOf = new Map<string, number>();
  tokens.forEach((token, id) => {
    if (token === '') return;
    const first = idOf.get(token);
    if (first !== undefined) {
      throw invalid('tokenizer.ggml.tokens', `holds '${token}' twice, at index ${first} and ${id}`);
    }
    idOf.set(token, id);
  });
  const known = knownEndIds(idOf);
  // Files that were converted carelessly call their end-of-turn token a normal one; a user could then write it.
  for (const id of known) tokenTypes[id] = TOKEN_TYPE.control;
  const named = [metadata.eosId, metadata.eotId, metadata.eomId].filter((id) => id !== undefined);
  return { tokens, tokenTypes, idOf, endIds: new Set([...named, ...known]) };
}

function knownEndIds(idOf: ReadonlyMap<string, number>): number[] {
  // With the harmony format `<|end|>` ends a message of an answer that goes on after it.
  const isHarmony = idOf.has('<|call|>') && idOf.has('<|return|>');
  const texts = END_TOKENS.filter((text) => !(isHarmony && text === '<|end|>'));
  return texts.map((text) => idOf.get(text)).filter((id) => id !== undefined);
}

/** Whether the token stands for no text: the types that llama.cpp's `token_to_piece` leaves out. */
export function isControlType(tokenType: number): boolean {
  return tokenType === TOKEN_TYPE.control || tokenType === TOKEN_TYPE.unknown;
}

/**
 * Raw bytes of a token, as text consists of them: those of its text for a control token, none for an unused one.
 * A token of either model may end in the middle of a UTF-8 character.
 */
export function bytesOfToken(model: TokenizerMetadata['model'], token: string, tokenType: number): Uint8Array {
  const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
  if (isControlType(tokenType) || tokenType === TOKEN_TYPE.userDefined) return utf8(token);
  if (tokenType === TOKEN_TYPE.byte) return Uint8Array.of(Number.parseInt(token.slice(3, 5), 16));
  if (tokenType !== TOKEN_TYPE.normal) return new Uint8Array(0);
  return model === 'gpt2' ? byteLevelBytes(token) : utf8(token.replaceAll('\u2581', ' '));
}
