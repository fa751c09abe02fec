import * as z from 'zod';
import type { GenerateResult, TextChunk } from '../engine/types.ts';
import { count } from './answer-schema.ts';
import { chatLogprobs, chatLogprobsSchema, type ChatLogprobs } from './logprobs.ts';
import { kvantReport, kvantReportSchema, usageOf, usageSchema } from './usage.ts';

/** Objects of `POST /v1/chat/completions`. */

/** What all objects of one completion have in common. */
export const completionHeadSchema = z.object({
  id: z.string(),
  created: z.int().describe('Seconds since 1970'),
  model: z.string(),
  system_fingerprint: z.string(),
});

export type CompletionHead = z.infer<typeof completionHeadSchema>;

export const finishReasonSchema = z.enum(['stop', 'length']);

const choiceShape = { index: count, logprobs: chatLogprobsSchema.nullable() };

export const chatCompletionSchema = completionHeadSchema.extend({
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      ...choiceShape,
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      finish_reason: finishReasonSchema,
    }),
  ),
  usage: usageSchema,
  kvant: kvantReportSchema,
});

export type ChatCompletion = z.infer<typeof chatCompletionSchema>;

export const chatChunkSchema = completionHeadSchema.extend({
  object: z.literal('chat.completion.chunk'),
  choices: z
    .array(
      z.object({
        ...choiceShape,
        delta: z.object({
          role: z.literal('assistant').optional(),
          content: z.string().optional(),
          refusal: z.null().optional(),
        }),
        finish_reason: finishReasonSchema.nullable(),
      }),
    )
    .describe('One choice; none in the chunk that tells the usage'),
  usage: usageSchema.nullable().optional(),
  kvant: kvantReportSchema.optional().describe('In the last chunk of a choice'),
});

export type ChatChunk = z.infer<typeof chatChunkSchema>;
type Delta = ChatChunk['choices'][number]['delta'];

export function completionHead(prefix: string, model: string, version: string): CompletionHead {
  return { id: objectId(prefix), created: nowSeconds(), model, system_fingerprint: `kvant-${version}` };
}

/** A new id, such as `chatcmpl-` and 32 hexadecimal digits. */
export function objectId(prefix: string): string {
  return `${prefix}${globalThis.crypto.randomUUID().replaceAll('-', '')}`;
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Why an answer ended, in OpenAI's words: a full context is a length, too. */
export function finishReason({ finishReason: reason }: GenerateResult): 'stop' | 'length' {
  return reason === 'stop' ? 'stop' : 'length';
}

/** Of a request that goes on with a conversation: its name, and which turn of it that was. */
export interface ConversationReport {
  readonly conversation: string;
  /** 1 where the server knew of no earlier turn. */
  readonly turn: number;
}

export function chatCompletion(
  head: CompletionHead,
  results: readonly GenerateResult[],
  conversation?: ConversationReport,
): ChatCompletion {
  return {
    ...head,
    object: 'chat.completion',
    choices: results.map((result, index) => ({
      index,
      message: { role: 'assistant', content: result.text, refusal: null },
      logprobs: result.logProbs ? chatLogprobs(result.logProbs) : null,
      finish_reason: finishReason(result),
    })),
    usage: usageOf(results, results.length),
    kvant: { ...kvantReport(results), ...conversation },
  };
}

/** Chunks of a stream: the role in the first one of each choice, the reason in its last one, what it all took after that. */
export class ChatChunks {
  readonly #head: CompletionHead;
  readonly #usage: { readonly usage?: null };

  /** @param includesUsage then all chunks but the last say that their usage is null */
  constructor(head: CompletionHead, includesUsage: boolean) {
    this.#head = head;
    this.#usage = includesUsage ? { usage: null } : {};
  }

  first(index: number): ChatChunk {
    return this.#chunk(index, { role: 'assistant', content: '', refusal: null }, null, null);
  }

  text(index: number, { text, logProbs }: TextChunk): ChatChunk {
    return this.#chunk(index, { content: text }, logProbs ? chatLogprobs(logProbs) : null, null);
  }

  last(index: number, result: GenerateResult, conversation?: ConversationReport): ChatChunk {
    const kvant = { ...kvantReport([result]), ...conversation };
    return { ...this.#chunk(index, {}, null, finishReason(result)), kvant };
  }

  usage(results: readonly GenerateResult[]): ChatChunk {
    return { ...this.#base(), choices: [], usage: usageOf(results, results.length) };
  }

  #chunk(index: number, delta: Delta, logprobs: ChatLogprobs | null, reason: 'stop' | 'length' | null): ChatChunk {
    return { ...this.#base(), choices: [{ index, delta, logprobs, finish_reason: reason }], ...this.#usage };
  }

  #base() {
    return { ...this.#head, object: 'chat.completion.chunk' as const };
  }
}
