import * as z from 'zod';
import type { ChatMessage } from '../engine/types.ts';
import { completionShape, countUpTo, ignoredShape, kvantShape, textUpTo, tokenCount } from './body-schema.ts';
import { unsupported } from './api-error.ts';
import { LIMITS } from './limits.ts';
import { responseFormatField } from './response-format.ts';
import { NO_TOOLS } from './unsupported-fields.ts';

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

/** What a message of OpenAI's API may have, and this server does not. */
const OTHER_FIELDS: Readonly<Record<string, string>> = {
  tool_calls: NO_TOOLS,
  tool_call_id: NO_TOOLS,
  function_call: NO_TOOLS,
  audio: 'this server takes text only',
  annotations: 'this server takes text only',
};

/** OpenAI's own client adds it to answers: their content as it has parsed it. */
const CLIENTS_FIELD = 'parsed';

/**
 * Refuses what OpenAI's API has in messages and this server does not, before the schema finds it merely wrong. Fields that say nothing, as answers have them that are
 * sent back, are dropped.
 *
 * @param messages of a body, before its schema
 * @throws ApiError unsupported_parameter
 */
export function refuseUnsupportedMessages(messages: unknown, param = 'messages'): void {
  if (!Array.isArray(messages)) return;
  for (const [index, given] of messages.slice(0, LIMITS.messages).entries()) {
    if (typeof given !== 'object' || given === null) continue;
    const message = given as Record<string, unknown>;
    const at = `${param}[${index}]`;
    if (message['role'] === 'tool' || message['role'] === 'function') throw unsupported(`${at}.role`, NO_TOOLS);
    for (const [name, reason] of Object.entries(OTHER_FIELDS)) {
      if (!Object.hasOwn(message, name)) continue;
      if (!saysNothing(message[name])) throw unsupported(`${at}.${name}`, reason);
      Reflect.deleteProperty(message, name);
    }
    Reflect.deleteProperty(message, CLIENTS_FIELD);
    const { content: parts } = message;
    const other = Array.isArray(parts) ? parts.findIndex(isOtherPart) : -1;
    if (other >= 0) {
      throw unsupported(`${at}.content[${other}].type`, 'this server takes content parts of type text only');
    }
  }
}

function saysNothing(value: unknown): boolean {
  return value === null || value === undefined || (Array.isArray(value) && value.length === 0);
}

const OTHER_PARTS = ['image_url', 'input_audio', 'file', 'refusal', 'input_image', 'input_file'];

function isOtherPart(part: unknown): boolean {
  return typeof part === 'object' && part !== null && 'type' in part && OTHER_PARTS.includes(part.type as string);
}
