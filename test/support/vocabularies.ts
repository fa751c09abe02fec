import { fileURLToPath } from 'node:url';
import { gguf } from '@huggingface/gguf';
import { BYTE_TO_CHARACTER } from '../../src/tokens/byte-level.ts';
import { TOKEN_TYPE } from '../../src/tokens/tokenizer-metadata.ts';

/** Token text, its `TOKEN_TYPE`, and its score. */
type TokenSpec = readonly [text: string, type: number, score?: number];

function metadataOf(model: string, tokens: readonly TokenSpec[]): Record<string, unknown> {
  return {
    'tokenizer.ggml.model': model,
    'tokenizer.ggml.tokens': tokens.map(([text]) => text),
    'tokenizer.ggml.token_type': tokens.map(([, type]) => type),
  };
}

export interface ByteLevelSpec {
  readonly pre?: string;
  /** Such as `Ġ t`; each makes a token. */
  readonly merges?: readonly string[];
  /** Tokens before all others. */
  readonly special?: readonly TokenSpec[];
  /** Tokens that no merge makes. */
  readonly whole?: readonly string[];
}

/** Metadata of a byte-level vocabulary: special tokens, the 256 bytes, then the merges' tokens. */
export function byteLevelMetadata({ pre, merges = [], special = [], whole = [] }: ByteLevelSpec = {}) {
  const made = [...BYTE_TO_CHARACTER, ...merges.map((merge) => merge.replace(' ', '')), ...whole];
  return {
    ...metadataOf('gpt2', [...special, ...made.map((text): TokenSpec => [text, TOKEN_TYPE.normal])]),
    ...(pre !== undefined && { 'tokenizer.ggml.pre': pre }),
    'tokenizer.ggml.merges': merges,
  };
}

/**
 * Metadata of a SentencePiece vocabulary: `<unk>`, `<s>`, `</s>`, more control tokens, the 256 bytes, then the pieces.
 * Each piece scores one less than the piece before it.
 */
export function sentencePieceMetadata(pieces: readonly string[], control: readonly string[] = []) {
  const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, '0'));
  const tokens: TokenSpec[] = [
    ['<unk>', TOKEN_TYPE.unknown],
    ['<s>', TOKEN_TYPE.control],
    ['</s>', TOKEN_TYPE.control],
    ...control.map((text): TokenSpec => [text, TOKEN_TYPE.control]),
    ...bytes.map((byte): TokenSpec => [`<0x${byte}>`, TOKEN_TYPE.byte]),
    ...pieces.map((text, index): TokenSpec => [text, TOKEN_TYPE.normal, -index]),
  ];
  return { ...metadataOf('llama', tokens), 'tokenizer.ggml.scores': tokens.map(([, , score = 0]) => score) };
}

/** Metadata of the embedded model. */
export async function smolLm2Metadata(): Promise<Record<string, unknown>> {
  const url = new URL('../../models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf', import.meta.url);
  const { metadata } = await gguf(fileURLToPath(url), { allowLocalFile: true });
  return metadata as unknown as Record<string, unknown>;
}

/** Code points that texts are made of in earnest or in malice, without surrogates. */
const CODE_POINT_RANGES = [
  [0x20, 0x7e],
  [0x20, 0x7e],
  [0x09, 0x0d],
  [0x00, 0x1f],
  [0x7f, 0x2ff],
  [0x300, 0x36f],
  [0x400, 0x1fff],
  [0x2000, 0x206f],
  [0x3040, 0x9fff],
  [0xe000, 0xffff],
  [0x10000, 0x10ffff],
  [0x1f300, 0x1faff],
] as const;

/** Text of that many random code points. */
export function randomText(uniform: () => number, numCodePoints: number): string {
  let text = '';
  for (let i = 0; i < numCodePoints; i++) {
    const [first, last] = CODE_POINT_RANGES[Math.floor(uniform() * CODE_POINT_RANGES.length)];
    text += String.fromCodePoint(first + Math.floor(uniform() * (last - first + 1)));
  }
  return text;
}

export const EMOJI = '👩‍👩‍👧‍👦 👍🏽 🇫🇷 ❤️‍🔥 e\u0301';
