import type { GenerateResult, TextChunk } from '../engine/types.ts';
import { chatLogprobs } from './logprobs.ts';
import { kvantReport, usageOf } from './usage.ts';

/** Objects of `POST /v1/chat/completions`. */

/** What all objects of one completion have in common. */
export interface CompletionHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

export function completionHead(prefix: string, model: string, version: string): CompletionHead {
  const id = `${prefix}-${globalThis.crypto.randomUUID().replaceAll('-', '')}`;
  return { id, created: Math.floor(Date.now() / 1000), model, system_fingerprint: `kvant-${version}` };
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
): object {
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

  first(index: number): object {
    return this.#chunk(index, { role: 'assistant', content: '', refusal: null }, null, null);
  }

  text(index: number, { text, logProbs }: TextChunk): object {
    return this.#chunk(index, { content: text }, logProbs ? chatLogprobs(logProbs) : null, null);
  }

  last(index: number, result: GenerateResult, conversation?: ConversationReport): object {
    const kvant = { ...kvantReport([result]), ...conversation };
    return { ...this.#chunk(index, {}, null, finishReason(result)), kvant };
  }

  usage(results: readonly GenerateResult[]): object {
    return { ...this.#base(), choices: [], usage: usageOf(results, results.length) };
  }

  #chunk(index: number, delta: object, logprobs: object | null, reason: string | null): object {
    return { ...this.#base(), choices: [{ index, delta, logprobs, finish_reason: reason }], ...this.#usage };
  }

  #base(): object {
    return { ...this.#head, object: 'chat.completion.chunk' };
  }
}
