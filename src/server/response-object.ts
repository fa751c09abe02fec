import * as z from 'zod';
import type { GenerateResult } from '../engine/types.ts';
import { count } from './answer-schema.ts';
import { nowSeconds, objectId } from './chat-completion.ts';
import type { ResponseBody } from './response-schema.ts';
import { kvantReport, kvantReportSchema, usageOf } from './usage.ts';

/** Objects of `POST /v1/responses`. */

const textPart = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(z.never()),
  logprobs: z.array(z.never()),
});

const itemStatus = z.enum(['in_progress', 'completed', 'incomplete']);

const messageItem = z.object({
  type: z.literal('message'),
  id: z.string(),
  status: itemStatus,
  role: z.literal('assistant'),
  content: z.array(textPart),
});

export const responseObjectSchema = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int().describe('Seconds since 1970'),
  status: itemStatus,
  error: z.null(),
  incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.int().nullable(),
  model: z.string(),
  output: z.array(messageItem),
  parallel_tool_calls: z.boolean(),
  previous_response_id: z.null(),
  store: z.literal(false),
  temperature: z.number(),
  text: z.object({ format: z.looseObject({ type: z.string() }) }),
  tool_choice: z.literal('none'),
  tools: z.array(z.never()),
  top_p: z.number(),
  truncation: z.literal('disabled'),
  usage: z
    .object({
      input_tokens: count,
      input_tokens_details: z.object({ cached_tokens: count }),
      output_tokens: count,
      output_tokens_details: z.object({ reasoning_tokens: z.literal(0) }),
      total_tokens: count,
    })
    .nullable(),
  user: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  kvant: kvantReportSchema.optional().describe('When the answer has ended'),
});

export type ResponseObject = z.infer<typeof responseObjectSchema>;
export type MessageItem = z.infer<typeof messageItem>;
export type TextPart = z.infer<typeof textPart>;

/** What an answer in the making looks like. @param temperature where the body names none */
export function begunResponse(body: ResponseBody, model: string, temperature: number): ResponseObject {
  return {
    ...{ id: objectId('resp_'), object: 'response', created_at: nowSeconds(), status: 'in_progress', model },
    ...{ error: null, incomplete_details: null, previous_response_id: null, store: false, truncation: 'disabled' },
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    output: [],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    temperature: body.temperature ?? temperature,
    text: { format: body.text?.format ?? { type: 'text' } },
    ...{ tool_choice: 'none', tools: [] },
    top_p: body.top_p ?? 1,
    usage: null,
    user: body.user ?? null,
    metadata: body.metadata ?? {},
  };
}

export function textPartOf(text: string): TextPart {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

/** An answer that has ended. */
export function endedResponse(begun: ResponseObject, itemId: string, result: GenerateResult): ResponseObject {
  const isWhole = result.finishReason === 'stop';
  const status = isWhole ? 'completed' : 'incomplete';
  const usage = usageOf([result], 1);
  return {
    ...begun,
    status,
    incomplete_details: isWhole ? null : { reason: 'max_output_tokens' },
    output: [messageItemOf(itemId, status, [textPartOf(result.text)])],
    usage: {
      input_tokens: usage.prompt_tokens,
      input_tokens_details: usage.prompt_tokens_details,
      output_tokens: usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.total_tokens,
    },
    kvant: kvantReport([result]),
  };
}

export function messageItemOf(id: string, status: MessageItem['status'], content: TextPart[]): MessageItem {
  return { type: 'message', id, status, role: 'assistant', content };
}
