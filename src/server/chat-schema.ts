import * as z from 'zod';
import type { ChatMessage } from '../engine/types.ts';
import { completionShape, countUpTo, ignoredShape, kvantShape, textUpTo, tokenCount } from './body-schema.ts';
import { unsupported } from './api-error.ts';
import { LIMITS } from './limits.ts';
import { responseFormatField } from './response-format.ts';

/** The body of `POST /v1/chat/completions`. */

const contentRule = 'must be a text, or a list of content parts';
const textPart = z.strictObject({ type: z.literal('text', 'must be text'), text: z.string('must be a text') });
const content = z.union(
  [
    z.string(contentRule),
    z.array(textPart).min(1, 'must have at least one part').max(LIMITS.contentParts, 'has too many parts'),
  ],
  contentRule,
);

const message = z.strictObject({
  role: z.enum(['system', 'developer', 'user', 'assistant'], 'must be system, developer, user or assistant'),
  content,
  name: textUpTo(LIMITS.nameChars).nullish(),
  refusal: z.null('must be null').optional(),
});

export type RequestMessage = z.infer<typeof message>;

export const messagesField = z
  .array(message, 'must be a list of messages')
  .min(1, 'must have at least one message')
  .max(LIMITS.messages, `must have at most ${LIMITS.messages} messages`);

export const chatSchema = z.strictObject({
  ...completionShape,
  ...ignoredShape,
  messages: messagesField,
  max_tokens: tokenCount.nullish(),
  max_completion_tokens: tokenCount.nullish(),
  logprobs: z.boolean('must be true or false').nullish(),
  top_logprobs: countUpTo(LIMITS.topLogprobs).nullish(),
  response_format: responseFormatField.nullish(),
  kvant: z
    .strictObject({ ...kvantShape, conversation: textUpTo(LIMITS.nameChars).min(1, 'must not be empty').nullish() })
    .nullish(),
});

export type ChatBody = z.infer<typeof chatSchema>;

/** Messages as the engine takes them: `developer` is OpenAI's newer name of `system`; parts of a text are put together. */
export function toMessages(messages: readonly RequestMessage[]): ChatMessage[] {
  return messages.map(({ role, content: given }) => ({
    role: role === 'developer' ? 'system' : role,
    content: typeof given === 'string' ? given : given.map(({ text }) => text).join(''),
  }));
}

/**
 * Refuses what OpenAI's API has in messages and this server does not, before the schema finds it merely wrong.
 *
 * @throws ApiError unsupported_parameter, unsupported_value
 */
export function refuseUnsupportedMessages(messages: unknown, param = 'messages'): void {
  if (!Array.isArray(messages)) return;
  for (const [index, given] of messages.slice(0, LIMITS.messages).entries()) {
    if (typeof given !== 'object' || given === null) continue;
    const { role, content: parts, tool_calls: calls, audio } = given as Readonly<Record<string, unknown>>;
    const at = `${param}[${index}]`;
    if (role === 'tool' || role === 'function' || (calls !== undefined && calls !== null)) {
      throw unsupported(
        `${at}.${role === 'tool' || role === 'function' ? 'role' : 'tool_calls'}`,
        'this server calls no tools',
      );
    }
    if (audio !== undefined && audio !== null) throw unsupported(`${at}.audio`, 'this server takes text only');
    const other = Array.isArray(parts) ? parts.findIndex(isOtherPart) : -1;
    if (other >= 0)
      throw unsupported(`${at}.content[${other}].type`, 'this server takes content parts of type text only');
  }
}

const OTHER_PARTS = ['image_url', 'input_audio', 'file', 'refusal', 'input_image', 'input_file'];

function isOtherPart(part: unknown): boolean {
  return typeof part === 'object' && part !== null && 'type' in part && OTHER_PARTS.includes(part.type as string);
}
