import assert from 'node:assert/strict';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Tokenizer } from '../../tokens/tokenizer.ts';
import { Engine } from '../engine.ts';
import { KvMemory } from '../kv-memory.ts';
import type { EngineRequest, RequestEvents } from '../request.ts';
import type { GenerateResult } from '../types.ts';
import { expectedAnswer, type ExpectedAnswer, type HashModel } from './expected-answer.ts';
import { HashKernels } from './hash-kernels.ts';
import { NUM_CONVERSATIONS, RandomRequests } from './random-requests.ts';

const HEAD_DIM = 16;
/** Small, so that pages fill often; a multiple of 32, as page layouts want it. */
const PAGE_SIZE = 32;
const NAN_PERIOD = 500;
/** Steps within which a burst of requests has to end. */
const MAX_BURST_STEPS = 20_000;

export interface RandomLoadOptions {
  readonly seed: number;
  readonly tokenizer: Tokenizer;
  readonly kv: string;
  readonly maxContext: number;
  readonly maxRows: number;
  readonly prefillChunk?: number;
  readonly numSealedPages: number;
  readonly numOpenPages: number;
}

/** What a load consisted of: a test that met none of something has not tested it. */
export interface LoadCounts {
  steps: number;
  finished: number;
  aborted: number;
  failed: number;
  cachedTokens: number;
  /** Most requests that were under way at a time. */
  mostPending: number;
}

interface PendingRequest {
  readonly id: number;
  readonly request: EngineRequest;
  readonly events: RecordedEvents;
}

/**
 * Drives an engine with random operations between its steps and during them: submits, aborts, conversations that go on
 * or are released. Every answer is compared with what it has to be, and every page has to come back.
 */
export class RandomLoad {
  readonly kernels: HashKernels;
  readonly engine: Engine;
  readonly memory: KvMemory;
  readonly counts: LoadCounts = { steps: 0, finished: 0, aborted: 0, failed: 0, cachedTokens: 0, mostPending: 0 };
  readonly #model: HashModel;
  readonly #requests: RandomRequests;
  readonly #int: (from: number, to: number) => number;
  readonly #pending = new Map<number, PendingRequest>();
  /** One for each request that has not been waited for. They never reject: what is wrong is in `#problems`. */
  readonly #checks: Promise<void>[] = [];
  readonly #problems: unknown[] = [];
  #numToSubmit = 0;
  #burstSteps = 0;

  constructor({ seed, tokenizer, kv, maxContext, maxRows, ...options }: RandomLoadOptions) {
    const rng = xoroshiro128plus(seed);
    const format = { ...parseKvFormat(kv, HEAD_DIM), pageSize: PAGE_SIZE };
    this.#int = (from, to) => uniformInt(rng, from, to);
    this.#model = { format, tokenizer, maxContext, nanPeriod: NAN_PERIOD };
    this.#requests = new RandomRequests(rng, { ...format, maxContext, vocabularySize: tokenizer.vocabularySize });
    const shape = { numLayers: 1, numKvHeads: 1, headDim: HEAD_DIM };
    const config = { shape, numHeads: 1, format, ropeFrequencies: [], maxRows, maxContext, numThreads: 1 };
    this.kernels = new HashKernels(config, tokenizer.vocabularySize, NAN_PERIOD);
    this.kernels.onStep = async (step) => {
      this.#operate(0.05);
      return step;
    };
    const kernels = this.kernels.asKernels();
    this.memory = new KvMemory(kernels, { sealed: options.numSealedPages, open: options.numOpenPages });
    this.engine = new Engine({
      kernels,
      model: this.kernels,
      tokenizer,
      memory: this.memory,
      loadMs: 0,
      ...(options.prefillChunk !== undefined && { prefillChunk: options.prefillChunk }),
      yieldToEvents: async () => {
        // Events of a thread never come within the call that lets them come.
        await Promise.resolve();
        this.#betweenSteps();
      },
    });
  }

  /**
   * Runs bursts of requests until there were as many steps. After each burst the engine is idle: then nobody may own a
   * page but conversations, and nobody at all once these are released.
   *
   * @throws AssertionError if an answer is wrong or a page is missing
   */
  async run(numSteps: number): Promise<LoadCounts> {
    while (this.counts.steps < numSteps) {
      this.#numToSubmit = this.#int(1, 30);
      this.#burstSteps = 0;
      while (this.#numToSubmit > 0) {
        this.#submit();
        while (this.#checks.length > 0) await this.#settled();
      }
      this.engine.checkPages();
      if (this.#chance(0.3)) this.#releaseAll();
    }
    this.#releaseAll();
    return this.counts;
  }

  /** Waits until all requests have ended. @throws what was wrong with the first one that was */
  async #settled(): Promise<void> {
    await Promise.all(this.#checks.splice(0));
    if (this.#problems.length > 0) throw this.#problems[0];
  }

  #betweenSteps(): void {
    this.counts.steps++;
    assert.ok(++this.#burstSteps < MAX_BURST_STEPS, `${this.#pending.size} requests do not end`);
    this.#operate(0.3);
    this.engine.checkPages();
  }

  /** Does this and that, with a probability each. */
  #operate(probability: number): void {
    if (this.#numToSubmit > 0 && this.#chance(probability)) this.#submit();
    if (this.#chance(probability / 10)) this.#abort();
    if (this.#chance(probability / 10)) this.engine.releaseConversation(this.#int(0, NUM_CONVERSATIONS));
  }

  #submit(): void {
    this.#numToSubmit--;
    const request = this.#requests.next();
    const events = new RecordedEvents();
    const { id, result } = this.engine.submit(request, events);
    this.#pending.set(id, { id, request, events });
    this.counts.mostPending = Math.max(this.counts.mostPending, this.#pending.size);
    this.#checks.push(this.#check({ id, request, events }, result).catch((error) => void this.#problems.push(error)));
  }

  #abort(): void {
    const ids = [...this.#pending.keys()];
    if (ids.length > 0) this.engine.abort(ids[this.#int(0, ids.length - 1)]);
  }

  async #check(pending: PendingRequest, promise: Promise<GenerateResult>): Promise<void> {
    const { id, request, events } = pending;
    const expected = expectedAnswer(request, this.#model);
    const result = await promise.catch((error: unknown) => {
      const isExpected = /logits of position \d+ are not numbers/.test(String(error));
      if (isExpected && expected.finishReason === undefined) return undefined;
      throw new Error(`request ${id}: ${String(error)}`, { cause: error });
    });
    this.#pending.delete(id);
    if (result) this.#checkResult(pending, result, expected);
    else this.counts.failed++;
    events.check(request, expected, result);
  }

  #checkResult({ id, request, events }: PendingRequest, result: GenerateResult, expected: ExpectedAnswer): void {
    const { tokenIds, finishReason, cachedTokens } = result;
    const isAborted = finishReason === 'aborted';
    this.counts[isAborted ? 'aborted' : 'finished']++;
    this.counts.cachedTokens += cachedTokens;
    const expectedIds = isAborted ? expected.tokenIds.slice(0, tokenIds.length) : expected.tokenIds;
    assert.deepEqual(tokenIds, expectedIds, `request ${id} has other tokens`);
    if (!isAborted) assert.equal(finishReason, expected.finishReason, `request ${id}`);
    if (!isAborted) assert.equal(result.text, expected.text, `request ${id}`);
    assert.equal(events.text, result.text, `request ${id}: chunks and text`);
    assert.ok(cachedTokens < request.promptTokens.length, `request ${id} computed nothing of its prompt`);
    this.#requests.ended(request, tokenIds);
  }

  #releaseAll(): void {
    for (let i = 0; i < NUM_CONVERSATIONS; i++) this.engine.releaseConversation(i);
    this.engine.checkPages();
    const { sealed, open, sink } = this.memory.pools;
    for (const pool of [sealed, open, sink]) assert.equal(pool?.numFree, pool?.numPages, `${pool?.name} pages`);
  }

  #chance(probability: number): boolean {
    return this.#int(0, 9999) < 10_000 * probability;
  }
}

/** What a request told on its way. */
class RecordedEvents implements RequestEvents {
  text = '';
  readonly #logProbs = new Map<number, Float32Array>();
  #numComputed = 0;

  onChunk({ text }: { readonly text: string }): void {
    this.text += text;
  }

  onLogProbs(position: number, logProbs: Float32Array): void {
    assert.ok(!this.#logProbs.has(position), `log-probabilities of position ${position} came twice`);
    this.#logProbs.set(position, logProbs);
  }

  onPrefillProgress({ computedTokens, totalTokens }: { computedTokens: number; totalTokens: number }): void {
    assert.ok(computedTokens > this.#numComputed && computedTokens <= totalTokens, 'progress goes backwards');
    this.#numComputed = computedTokens;
  }

  /** @param result undefined if the request failed */
  check({ promptTokens }: EngineRequest, expected: ExpectedAnswer, result: GenerateResult | undefined): void {
    for (const [position, logProbs] of this.#logProbs) {
      assert.deepEqual(logProbs, expected.logProbs.get(position), `log-probabilities of position ${position}`);
    }
    if (!result || result.finishReason === 'aborted') return;
    assert.equal(this.#numComputed, promptTokens.length);
    const due = [...expected.logProbs.keys()].filter((position) => position >= result.cachedTokens);
    assert.deepEqual([...this.#logProbs.keys()], due, 'positions of log-probabilities');
  }
}
