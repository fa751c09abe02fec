import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Model } from '../../src/index.ts';
import type { ErrorBody } from '../../src/server/answer-schema.ts';
import { startServer, type TestServer } from '../../src/server/testing/test-server.ts';
import { hostileCase, type HostileCase } from './hostile-requests.ts';
import { Random } from './random.ts';
import { sendBytes, type Exchange, type RawAnswer } from './raw-http.ts';

export interface FuzzOptions {
  /** It gets a server of its own. */
  readonly model: Model;
  readonly numRequests: number;
  readonly seed: number;
  /** Requests at a time. */
  readonly lanes?: number;
  readonly onProgress?: (numDone: number) => void;
}

export interface FuzzReport {
  /** Hostile requests by their kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** Answers by their status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that ended without an answer, where they may. */
  readonly silent: number;
  /** Good requests in between, all answered as they should be. */
  readonly good: number;
  /** What was wrong, with the number of the request: none, it is to be hoped. */
  readonly problems: readonly string[];
  /** What the process has resident, after each tenth of the requests. */
  readonly rssBytes: readonly number[];
}

/** A good request comes after so many hostile ones. */
const GOOD_EVERY = 200;
/** A request follows from the seed and its number. */
const SEEDS = 1_000_003;
const MAX_PROBLEMS = 20;

/** Sends hostile requests to a server, good ones in between, and looks at every answer. The server and the engine must have nothing left at the end. */
export async function fuzzServer(options: FuzzOptions): Promise<FuzzReport> {
  const numTimers = countTimers();
  const server = await startServer({
    model: options.model,
    options: { maxSequences: 4, maxQueue: 512, maxTokens: 6 },
    patience: { headersMs: 1500, requestMs: 3000 },
  });
  const run = new FuzzRun(server, options);
  try {
    await run.all();
  } finally {
    await server.drain(0);
  }
  return run.report(await leftovers(options.model, numTimers));
}

function caseOf(seed: number, index: number): HostileCase {
  return hostileCase(new Random(seed * SEEDS + index));
}

class FuzzRun {
  readonly #server: TestServer;
  readonly #options: FuzzOptions;
  readonly #kinds: Record<string, number> = {};
  readonly #statuses: Record<string, number> = {};
  readonly #problems: string[] = [];
  /** Those that take long of themselves. */
  readonly #slow = new Set<Promise<void>>();
  #numSilent = 0;
  #numGood = 0;
  #next = 0;
  readonly #rssBytes: number[] = [];

  constructor(server: TestServer, options: FuzzOptions) {
    this.#server = server;
    this.#options = options;
  }

  async all(): Promise<void> {
    const { lanes = 8 } = this.#options;
    const expected = await this.#goodAnswer();
    await Promise.all(Array.from({ length: lanes }, () => this.#lane(expected)));
    await Promise.all(this.#slow);
    await this.#checkGood(expected);
  }

  report(leftovers: readonly string[]): FuzzReport {
    return {
      ...{ kinds: this.#kinds, statuses: this.#statuses, silent: this.#numSilent, good: this.#numGood },
      problems: [...this.#problems, ...leftovers],
      rssBytes: this.#rssBytes,
    };
  }

  async #lane(expected: string): Promise<void> {
    const { numRequests, seed, onProgress } = this.#options;
    for (;;) {
      const index = this.#next++;
      if (index >= numRequests || this.#problems.length >= MAX_PROBLEMS) return;
      const hostile = caseOf(seed, index);
      const done = this.#try(hostile, index);
      if (hostile.kind === 'slow') {
        this.#slow.add(done);
        void done.then(() => this.#slow.delete(done));
      } else await done;
      if (index % GOOD_EVERY === 0) await this.#checkGood(expected);
      if ((index + 1) % Math.ceil(numRequests / 10) === 0) this.#rssBytes.push(process.memoryUsage.rss());
      onProgress?.(index + 1);
    }
  }

  async #try(hostile: HostileCase, index: number): Promise<void> {
    this.#kinds[hostile.kind] = (this.#kinds[hostile.kind] ?? 0) + 1;
    const exchange = await sendBytes(this.#server.port, hostile.parts, hostile);
    for (const { status } of exchange.answers) this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    if (exchange.answers.length === 0) this.#numSilent++;
    const problem = problemOf(hostile, exchange);
    if (problem !== undefined) this.#problems.push(`request ${index} (${hostile.kind}): ${problem}`);
  }

  async #checkGood(expected: string): Promise<void> {
    const given = await this.#goodAnswer();
    this.#numGood++;
    if (given !== expected) this.#problems.push(`a good request was answered with ${given}`);
  }

  /** The answer's text, or what came instead. */
  async #goodAnswer(): Promise<string> {
    const messages = [{ role: 'user', content: 'Tell me of the sea.' }];
    const body = { messages, temperature: 0, max_tokens: 5 };
    const response = await this.#server.post('/v1/chat/completions', body);
    const answer = (await response.json()) as { choices?: { message: { content: string } }[] };
    return answer.choices?.[0].message.content ?? JSON.stringify(answer);
  }
}

/** What is wrong with how a hostile request was answered. */
function problemOf({ mayBeSilent, isHead, leaves }: HostileCase, exchange: Exchange): string | undefined {
  const { answers, rest, wasReset } = exchange;
  for (const answer of answers) {
    const problem = isHead ? statusProblem(answer) : answerProblem(answer);
    if (problem !== undefined) return `${problem}: ${answer.status} ${answer.body.slice(0, 500)}`;
  }
  // What could not even be read is answered with a body, whatever its method was to be.
  if (mayBeSilent || leaves || isHead) return undefined;
  if (answers.length === 0) return `no answer${wasReset ? ', and a reset' : ''}: ${JSON.stringify(rest.slice(0, 200))}`;
  return rest === '' ? undefined : `more than answers: ${JSON.stringify(rest.slice(0, 200))}`;
}

function statusProblem({ status }: RawAnswer): string | undefined {
  return status < 500 || status === 503 ? undefined : 'a failure of the server';
}

/** Paths, modules and lines of a stack. */
const INSIDES = /\bat .{1,200}:\d+:\d+|\bnode:|\.ts\b|file:\/\/|node_modules|\/src\//;

function answerProblem(answer: RawAnswer): string | undefined {
  const { status, headers, body } = answer;
  if (statusProblem(answer) !== undefined) return statusProblem(answer);
  if (status < 400) {
    return /"code":"internal_error"/.test(body) ? 'a failure in a stream' : undefined;
  }
  if (!headers['content-type']?.startsWith('application/json')) return 'an error that is no JSON';
  if (INSIDES.test(body)) return 'an error that tells of insides';
  try {
    const { error, ...others } = JSON.parse(body) as ErrorBody;
    assert.deepEqual([Object.keys(error), Object.keys(others)], [['message', 'type', 'param', 'code'], []]);
    assert.ok(error.message.length > 0 && error.message.length < 1000, 'length of the message');
    assert.ok(['invalid_request_error', 'rate_limit_error', 'server_error'].includes(error.type), 'type');
    assert.ok(error.param === null || typeof error.param === 'string', 'param');
    assert.equal(typeof error.code, 'string', 'code');
    return undefined;
  } catch (cause) {
    return `an error without its type (${String(cause)})`;
  }
}

/** Timers that have not ended. */
function countTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

/** What is left of requests when the server has ended. */
async function leftovers(model: Model, numTimersBefore: number): Promise<string[]> {
  for (let turn = 0; ; turn++) {
    const { requests, pages } = await model.stats();
    const { open, sealed, shared } = pages.byState;
    const timers = Math.max(0, countTimers() - numTimersBefore);
    const left = { ...requests, open, sealed, shared, timers };
    if (Object.values(left).every((count) => count === 0)) return [];
    if (turn === 100) return [`left at the end: ${JSON.stringify(left)}`];
    await sleep(20);
  }
}
