import type { TokenLogProb } from '../engine/output-types.ts';

/** Log-probabilities of tokens as chat completions have them. */
export interface ChatLogprobs {
  readonly content: readonly ChatLogprob[];
  readonly refusal: null;
}

interface ChatLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly Omit<ChatLogprob, 'top_logprobs'>[];
}

/** JSON has no minus infinity, which a masked token has; OpenAI's API says -9999. */
const LEAST_LOGPROB = -9999;

export function chatLogprobs(tokens: readonly TokenLogProb[]): ChatLogprobs {
  const content = tokens.map(({ text, bytes, logProb, top }) => ({
    ...{ token: text, logprob: finite(logProb), bytes },
    top_logprobs: top.map((other) => ({ token: other.text, logprob: finite(other.logProb), bytes: other.bytes })),
  }));
  return { content, refusal: null };
}

/** As text completions have them. */
export interface TextLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  readonly text_offset: readonly number[];
}

/** @param offset of the first token in the text */
export function textLogprobs(tokens: readonly TokenLogProb[], offset: number): TextLogprobs {
  let next = offset;
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logProb }) => finite(logProb)),
    top_logprobs: tokens.map(({ top }) => Object.fromEntries(top.map(({ text, logProb }) => [text, finite(logProb)]))),
    text_offset: tokens.map(({ text }) => {
      const at = next;
      next += text.length;
      return at;
    }),
  };
}

function finite(logProb: number): number {
  return Math.max(logProb, LEAST_LOGPROB);
}
