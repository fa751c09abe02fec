import { EventSourceParserStream } from 'eventsource-parser/stream';
import type { ApiClient } from './api-client.ts';
import { ApiError } from './api-error.ts';

/** A message as the server takes it. */
export interface SentMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** What is asked of the model. */
export interface AnswerRequest {
  readonly model: string;
  readonly messages: readonly SentMessage[];
  readonly kv: string | undefined;
  readonly temperature: number;
  readonly maxTokens: number | undefined;
  readonly seed: number | undefined;
}

/** What the server measured of an answer; fields that it left out are undefined. */
export interface AnswerFigures {
  readonly promptTokens?: number | undefined;
  /** Prompt tokens that lay in the cache. */
  readonly cachedTokens?: number | undefined;
  readonly completionTokens?: number | undefined;
  readonly ttftMs?: number | undefined;
  readonly decodeTps?: number | undefined;
  readonly kvFormat?: string | undefined;
  readonly bitsPerElement?: number | undefined;
  readonly bytes?: number | undefined;
  readonly f16Bytes?: number | undefined;
  readonly seed?: number | undefined;
}

/** A piece of an answer: text as it comes, and at the end why it ended and what it took. */
export interface AnswerPiece {
  readonly text: string;
  readonly finishReason?: string | undefined;
  readonly figures?: AnswerFigures | undefined;
}

/** A chunk of OpenAI's stream with Kvant's own fields, as far as the page reads it. */
interface StreamChunk {
  readonly error?: { readonly message?: string };
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: {
    readonly prompt_tokens?: number;
    readonly completion_tokens?: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  } | null;
  readonly kvant?: {
    readonly kv?: {
      readonly format?: string;
      readonly bits_per_element?: number;
      readonly bytes?: number;
      readonly f16_bytes?: number;
    };
    readonly ttft_ms?: number;
    readonly decode_tps?: number | null;
    readonly seed?: number;
  };
}

/**
 * Asks for an answer and gives it as it comes.
 *
 * @throws ApiError what the server refused, also in the middle of a stream; DOMException `AbortError`
 */
export async function* streamAnswer(
  api: Pick<ApiClient, 'send'>,
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerPiece> {
  const response = await api.send('v1/chat/completions', { body: bodyOf(request), signal });
  if (!response.body) throw new ApiError('The server sent an empty answer.', response.status);
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  try {
    for await (const { data } of events) {
      if (data === '[DONE]') return;
      yield pieceOf(JSON.parse(data) as StreamChunk);
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError('The connection broke before the answer was complete.');
  }
  throw new ApiError('The connection ended before the answer was complete.');
}

function bodyOf({ model, messages, kv, temperature, maxTokens, seed }: AnswerRequest): object {
  return {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    temperature,
    ...(maxTokens !== undefined && { max_completion_tokens: maxTokens }),
    ...(seed !== undefined && { seed }),
    ...(kv !== undefined && { kvant: { kv } }),
  };
}

function pieceOf(chunk: StreamChunk): AnswerPiece {
  if (chunk.error) throw new ApiError(chunk.error.message ?? 'The server failed while it answered.');
  const [choice] = chunk.choices ?? [];
  return {
    text: choice?.delta?.content ?? '',
    finishReason: choice?.finish_reason ?? undefined,
    figures: figuresOf(chunk),
  };
}

function figuresOf({ usage, kvant }: StreamChunk): AnswerFigures | undefined {
  if (!usage && !kvant) return undefined;
  return {
    ...(usage && {
      promptTokens: usage.prompt_tokens,
      cachedTokens: usage.prompt_tokens_details?.cached_tokens,
      completionTokens: usage.completion_tokens,
    }),
    ...(kvant && {
      ttftMs: kvant.ttft_ms,
      decodeTps: kvant.decode_tps ?? undefined,
      kvFormat: kvant.kv?.format,
      bitsPerElement: kvant.kv?.bits_per_element,
      bytes: kvant.kv?.bytes,
      f16Bytes: kvant.kv?.f16_bytes,
      seed: kvant.seed,
    }),
  };
}
