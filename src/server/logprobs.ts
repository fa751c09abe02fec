import * as z from 'zod';
import type { TokenLogProb } from '../engine/output-types.ts';

/** Log-probabilities of tokens as chat completions have them. */
const tokenLogprob = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()).nullable() });
export const chatLogprobsSchema = z.object({
  content: z.array(tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob) })),
  refusal: z.null(),
});

export type ChatLogprobs = z.infer<typeof chatLogprobsSchema>;

/** JSON has no minus infinity, which a masked token has; OpenAI's API says -9999. */
const LEAST_LOGPROB = -9999;

export function chatLogprobs(tokens: readonly TokenLogProb[]): ChatLogprobs {
  const content = tokens.map(({ text, bytes, logProb, top }) => ({
    ...{ token: text, logprob: finite(logProb), bytes: [...bytes] },
    top_logprobs: top.map((other) => ({ token: other.text, logprob: finite(other.logProb), bytes: [...other.bytes] })),
  }));
  return { content, refusal: null };
}

/** As text completions have them. */
export const textLogprobsSchema = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number()),
  top_logprobs: z.array(z.record(z.string(), z.number())),
  text_offset: z.array(z.int()).describe('Where the tokens begin in the text, in UTF-16 units'),
});

export type TextLogprobs = z.infer<typeof textLogprobsSchema>;

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
