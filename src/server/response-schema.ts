import * as z from 'zod';
import type { ResponseFormat } from '../engine/output-types.ts';
import type { ChatMessage } from '../engine/types.ts';
import { completionShape, ignoredShape, kvantField, samplingShape, textUpTo, tokenCount } from './body-schema.ts';
import { LIMITS } from './limits.ts';
import { checkSchemaSize, schemaField } from './response-format.ts';

/** The body of `POST /v1/responses`. */

const contentRule = 'must be a text, or a list of parts of type input_text or output_text';
const part = z.looseObject({
  type: z.enum(['input_text', 'output_text'], 'must be input_text or output_text'),
  text: z.string('must be a text'),
});

const item = z.strictObject({
  type: z.literal('message', 'must be message').nullish(),
  role: z.enum(['system', 'developer', 'user', 'assistant'], 'must be system, developer, user or assistant'),
  content: z.union(
    [
      z.string(contentRule),
      z.array(part).min(1, 'must have at least one part').max(LIMITS.contentParts, 'has too many parts'),
    ],
    contentRule,
  ),
  // Of items that an earlier answer had, sent back as they were.
  id: textUpTo(LIMITS.nameChars).nullish(),
  status: textUpTo(LIMITS.nameChars).nullish(),
  phase: textUpTo(LIMITS.nameChars).nullish(),
});

const inputRule = 'must be a text, or a list of messages';

const format = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({
      type: z.literal('json_schema'),
      name: textUpTo(LIMITS.nameChars),
      description: textUpTo(LIMITS.schemaChars).nullish(),
      schema: schemaField,
      strict: z.boolean('must be true or false').nullish(),
    }),
  ],
  'must be {"type": "text"}, {"type": "json_object"}, or {"type": "json_schema", "name", "schema"}',
);

const { model, user, stream } = completionShape;
const { temperature, top_p } = samplingShape;

export const responseSchema = z.strictObject({
  ...ignoredShape,
  ...{ model, user, stream, temperature, top_p },
  input: z.union(
    [
      z.string(inputRule),
      z.array(item).min(1, 'must have at least one message').max(LIMITS.messages, 'has too many messages'),
    ],
    inputRule,
  ),
  instructions: z.string('must be a text').nullish(),
  max_output_tokens: tokenCount.nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.boolean('must be true or false').nullish() }).nullish(),
  text: z
    .strictObject({
      format: format.nullish(),
      verbosity: z.literal('medium', 'must be medium: the models of this server have no such setting').nullish(),
    })
    .nullish(),
  truncation: z.literal('disabled', 'must be disabled: this server drops nothing of a conversation').nullish(),
  kvant: kvantField,
});

export type ResponseBody = z.infer<typeof responseSchema>;

/** Instructions, where there are any, and the input, as messages. */
export function inputMessages({ input, instructions }: ResponseBody): ChatMessage[] {
  const system: ChatMessage[] = typeof instructions === 'string' ? [{ role: 'system', content: instructions }] : [];
  if (typeof input === 'string') return [...system, { role: 'user', content: input }];
  const given = input.map(({ role, content }): ChatMessage => ({
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
  }));
  return [...system, ...given];
}

/** @throws ApiError for a schema that is too deep or too long */
export function textFormat({ text }: ResponseBody): ResponseFormat | undefined {
  const given = text?.format;
  if (!given) return undefined;
  if (given.type !== 'json_schema') return given;
  checkSchemaSize(given.schema, 'text.format.schema');
  return { type: 'json_schema', schema: given.schema };
}
