import { randomStream } from './random-stream.ts';
import { streamAnswer, type StreamOutcome } from './streaming-client.ts';

export interface ServeLoadOptions {
  /** Of the server, without `/v1`. */
  readonly url: string;
  readonly apiKey?: string | undefined;
  readonly users: number;
  readonly seconds: number;
  /** Share of answers that their clients leave midway. */
  readonly leaveShare: number;
  /** Of an answer, at most. */
  readonly maxTokens: number;
  readonly seed: number;
  readonly signal: AbortSignal;
}

export interface ServeLoad {
  /** Until the last client has gone, in milliseconds. */
  readonly wallMs: number;
  readonly outcomes: readonly StreamOutcome[];
}

const WORDS = 'sea wind stone river winter letter garden engine market island window silver hunger morning'.split(' ');
const WORDS_IN_A_PROMPT = 40;

/**
 * Lets users ask, each again as soon as its answer has ended, until the time is over; then the last answers come to their end. After a
 * failure a user rests for a moment, so that a server that is gone is not asked a thousand times.
 *
 * @throws the signal's reason
 */
export async function loadServer(options: ServeLoadOptions): Promise<ServeLoad> {
  const startMs = performance.now();
  const endMs = startMs + options.seconds * 1000;
  const outcomes: StreamOutcome[] = [];
  const user = async (number: number): Promise<void> => {
    const random = randomStream(options.seed + 7919 * number);
    while (performance.now() < endMs) {
      options.signal.throwIfAborted();
      const outcome = await streamAnswer(nextRequest(options, random));
      outcomes.push(outcome);
      if (outcome.end === 'failed') await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
  };
  await Promise.all(Array.from({ length: options.users }, (_, number) => user(number)));
  options.signal.throwIfAborted();
  return { wallMs: performance.now() - startMs, outcomes };
}

const REST_MS = 100;

function nextRequest({ url, apiKey, leaveShare, maxTokens, signal }: ServeLoadOptions, random: () => number) {
  const words = Array.from({ length: WORDS_IN_A_PROMPT }, () => WORDS[Math.floor(random() * WORDS.length)]);
  const seed = Math.floor(random() * 2 ** 31);
  const leaves = random() < leaveShare;
  const half = Math.max(1, Math.floor(random() * maxTokens * 0.75));
  const prompt = `Write a story with these words: ${words.join(', ')}.`;
  return { url, apiKey, prompt, maxTokens, seed, leavesAfter: leaves ? half : undefined, signal };
}
