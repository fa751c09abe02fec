import { Readable } from 'node:stream';
import type { FastifyBaseLogger, FastifyReply } from 'fastify';
import { toApiError } from './api-error.ts';
import { logFailure } from './error-answers.ts';
import type { Job } from './job.ts';

/** One server-sent event. */
export interface ServerEvent {
  /** Of OpenAI's responses; chat completions have no names. */
  readonly name?: string;
  readonly data: object;
}

export interface EventStreamOptions {
  readonly job: Job;
  /** Whether `[DONE]` ends the stream. */
  readonly endsWithDone: boolean;
  /** How long a reader may leave what was sent unread. */
  readonly slowReaderMs: number;
  /** What an error in mid-stream is told as. Default: an event without a name whose data is the error's body. */
  readonly errorEvent?: (error: unknown) => ServerEvent;
}

/**
 * Answers with server-sent events. What goes wrong before the first one is an error of the request; later it is an event, the last one.
 *
 * @throws what the events throw before the first of them
 */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncGenerator<ServerEvent>,
  options: EventStreamOptions,
): Promise<FastifyReply> {
  const { job } = options;
  let first: IteratorResult<ServerEvent>;
  try {
    first = await events.next();
  } catch (error) {
    job.end();
    throw error;
  }
  watchReader(reply, job, options.slowReaderMs);
  void reply.header('content-type', 'text/event-stream; charset=utf-8');
  void reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no');
  return reply.send(Readable.from(texts(first, events, options, reply.log)));
}

async function* texts(
  first: IteratorResult<ServerEvent>,
  events: AsyncGenerator<ServerEvent>,
  { job, endsWithDone, errorEvent = defaultErrorEvent }: EventStreamOptions,
  log: FastifyBaseLogger,
): AsyncGenerator<string> {
  try {
    for (let next = first; !next.done; next = await events.next()) yield eventText(next.value);
    if (endsWithDone) yield 'data: [DONE]\n\n';
  } catch (error) {
    logFailure(log, toApiError(error));
    yield eventText(errorEvent(error));
  } finally {
    // A reader that leaves ends the loop; the answers behind it end with the signal.
    job.abort();
    job.end();
  }
}

function eventText({ name, data }: ServerEvent): string {
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`;
}

function defaultErrorEvent(error: unknown): ServerEvent {
  return { data: toApiError(error).body };
}

/** Drops a reader that leaves what was sent unread for too long. What waits for it meanwhile is bounded by the answer's length. */
function watchReader(reply: FastifyReply, job: Job, slowReaderMs: number): void {
  const { raw } = reply;
  // One that has left before the first event closes nothing any more.
  if (raw.closed) return;
  let stuckSinceMs: number | undefined;
  raw.on('drain', () => (stuckSinceMs = undefined));
  const timer = setInterval(() => {
    if (!raw.writableNeedDrain) return;
    const nowMs = performance.now();
    stuckSinceMs ??= nowMs;
    if (nowMs - stuckSinceMs < slowReaderMs) return;
    reply.log.info('a reader was too slow and is dropped');
    job.abort();
    raw.destroy();
  }, slowReaderMs / 4);
  raw.once('close', () => clearInterval(timer));
}
