import type { ChatMessage } from '../engine/types.ts';
import { ApiError } from './api-error.ts';

/**
 * Characters of a request's texts for each token of context. Texts have 3 to 5 characters a token; what has more than this cannot fit but for long runs of one
 * character, whose tokens take so long to find that other requests would wait.
 */
const CHARS_PER_TOKEN = 16;

/**
 * Refuses texts that are far too long before the engine looks at them.
 *
 * @param texts all of a request
 * @param ctx tokens of context
 * @param param the field that holds them
 * @throws ApiError context_length_exceeded
 */
export function checkTextLength(texts: readonly string[], ctx: number, param: string): void {
  const numChars = texts.reduce((total, text) => total + text.length, 0);
  const most = ctx * CHARS_PER_TOKEN;
  if (numChars <= most) return;
  const message =
    `the request has ${count(numChars)} characters of text, but with a context of ${count(ctx)} tokens this server takes ` +
    `at most ${count(most)}: shorten it`;
  throw new ApiError(400, message, { param, code: 'context_length_exceeded' });
}

export function textsOf(messages: readonly ChatMessage[]): string[] {
  return messages.map(({ content }) => content);
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
