import { eventDataOf } from './event-data.ts';

export interface StreamRequest {
  /** Of the server, without `/v1`. */
  readonly url: string;
  readonly apiKey?: string | undefined;
  readonly prompt: string;
  readonly maxTokens: number;
  readonly seed: number;
  /** Leaves after so many pieces of text; absent: stays to the end. */
  readonly leavesAfter?: number | undefined;
  readonly signal: AbortSignal;
}

/** What a client got. Times are in milliseconds. */
export interface StreamOutcome {
  /** `ended` with `[DONE]`, `left` of its own will or because the load ended, or `failed`. */
  readonly end: 'ended' | 'left' | 'failed';
  /** From the request to the first piece of text; undefined where none came. */
  readonly ttftMs: number | undefined;
  /** Between one piece of text and the next. */
  readonly gapsMs: readonly number[];
  /** As the server counts them; pieces of text, where the client left before it told. */
  readonly numTokens: number;
  readonly error?: string;
}

interface Chunk {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: { readonly message: string };
}

/** Asks for one streamed answer, and notes when its pieces come. What goes wrong is in the outcome. */
export async function streamAnswer(request: StreamRequest): Promise<StreamOutcome> {
  const leave = new AbortController();
  const reader = new StreamReader(performance.now());
  try {
    const response = await fetch(`${request.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(request.apiKey !== undefined && { authorization: `Bearer ${request.apiKey}` }),
      },
      body: JSON.stringify(bodyOf(request)),
      signal: AbortSignal.any([leave.signal, request.signal]),
    });
    if (!response.ok || !response.body) return reader.outcome('failed', `${response.status} ${await response.text()}`);
    for await (const data of eventDataOf(response.body)) {
      if (data === '[DONE]') return reader.outcome('ended');
      const problem = reader.take(JSON.parse(data) as Chunk);
      if (problem !== undefined) return reader.outcome('failed', problem);
      if (request.leavesAfter !== undefined && reader.numPieces >= request.leavesAfter) {
        leave.abort();
        return reader.outcome('left');
      }
    }
    return reader.outcome('failed', 'the stream ended without [DONE]');
  } catch (error) {
    // Leaving fails the reading of what comes after.
    return leave.signal.aborted || request.signal.aborted
      ? reader.outcome('left')
      : reader.outcome('failed', String(error));
  }
}

function bodyOf({ prompt, maxTokens, seed }: StreamRequest): object {
  const messages = [
    { role: 'system', content: 'You are a helpful assistant. Answer in full sentences.' },
    { role: 'user', content: prompt },
  ];
  return { messages, max_tokens: maxTokens, seed, stream: true, stream_options: { include_usage: true } };
}

class StreamReader {
  readonly #startMs: number;
  readonly #gapsMs: number[] = [];
  #lastMs: number | undefined;
  #ttftMs: number | undefined;
  #numTokens: number | undefined;
  numPieces = 0;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** @returns what the server says went wrong */
  take({ choices, usage, error }: Chunk): string | undefined {
    if (error) return error.message;
    if (usage) this.#numTokens = usage.completion_tokens;
    if (!choices?.[0]?.delta?.content) return undefined;
    const nowMs = performance.now();
    if (this.#lastMs === undefined) this.#ttftMs = nowMs - this.#startMs;
    else this.#gapsMs.push(nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.numPieces++;
    return undefined;
  }

  outcome(end: StreamOutcome['end'], error?: string): StreamOutcome {
    return {
      ...{ end, ttftMs: this.#ttftMs, gapsMs: this.#gapsMs, numTokens: this.#numTokens ?? this.numPieces },
      ...(error !== undefined && { error }),
    };
  }
}
