import assert from 'node:assert/strict';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { MemoryPageStore, type StoredPage } from '../../cache/page-store.ts';
import type { ChainPage } from '../../cache/prefix-chain.ts';
import { commonPrefixLength } from '../common-prefix.ts';
import type { Engine, EngineSharing } from '../engine.ts';
import { KvMemory } from '../kv-memory.ts';
import { DEFAULT_TENANT, type EngineRequest } from '../request.ts';
import type { GenerateResult } from '../types.ts';
import { expectedAnswer, type ExpectedAnswer, type HashModel } from './expected-answer.ts';
import { createHashEngine, type HashEngineOptions } from './hash-engine.ts';
import type { HashKernels } from './hash-kernels.ts';
import { NUM_CONVERSATIONS, RandomRequests, tenantName } from './random-requests.ts';
import { RecordedEvents } from './recorded-events.ts';
import { ShareablePages, type PageSharer } from './shareable-pages.ts';

const NAN_PERIOD = 2000;
/** Steps within which a burst of requests has to end. */
const MAX_BURST_STEPS = 20_000;
const MAX_PUBLIC_PREFIXES = 3;

export interface RandomLoadOptions extends Omit<HashEngineOptions, 'store' | 'nanPeriod' | 'yieldToEvents'> {
  readonly seed: number;
  readonly numTenants: number;
  /** Size of the second tier; none where absent. */
  readonly swapBytes?: number;
}

/** What a load consisted of: a test that met none of something has not tested it. */
export interface LoadCounts {
  steps: number;
  finished: number;
  aborted: number;
  failed: number;
  refused: number;
  /** Most requests that were under way at a time. */
  mostPending: number;
  /** Requests that went on from the pages of their conversation, or found pages of others. */
  continued: number;
  prefixHits: number;
  publicHits: number;
  preemptions: number;
  evictions: number;
  /** Pages that were moved to join gaps. */
  compactions: number;
  forks: number;
  /** Pages that came back from the second tier. */
  restores: number;
  logProbs: number;
}

interface PendingRequest {
  readonly id: number;
  readonly request: EngineRequest;
  readonly events: RecordedEvents;
  readonly expected: ExpectedAnswer;
  readonly sharer: PageSharer;
}

/**
 * Drives an engine with random operations between its steps and during them: submits, aborts, conversations that go on, are
 * forked or are released. Every answer is compared with what it has to be, and every page has to come back.
 */
export class RandomLoad {
  readonly kernels: HashKernels;
  readonly engine: Engine;
  readonly memory: KvMemory;
  readonly counts: LoadCounts = {
    ...{ steps: 0, finished: 0, aborted: 0, failed: 0, refused: 0, mostPending: 0, continued: 0, prefixHits: 0 },
    ...{ publicHits: 0, preemptions: 0, evictions: 0, compactions: 0, forks: 0, restores: 0, logProbs: 0 },
  };
  readonly #sharing: EngineSharing;
  readonly #numTenants: number;
  readonly #model: HashModel;
  readonly #requests: RandomRequests;
  readonly #int: (from: number, to: number) => number;
  readonly #shareable = new ShareablePages();
  readonly #publicPrefixes: (readonly number[])[] = [];
  readonly #pending = new Map<number, PendingRequest>();
  /** One for each request that has not been waited for. They never reject: what is wrong is in `#problems`. */
  readonly #checks: Promise<void>[] = [];
  readonly #problems: unknown[] = [];
  #numToSubmit = 0;
  #burstSteps = 0;

  constructor(options: RandomLoadOptions) {
    const { seed, tokenizer, maxContext, numTenants, swapBytes } = options;
    const rng = xoroshiro128plus(seed);
    this.#int = (from, to) => uniformInt(rng, from, to);
    this.#sharing = options.sharing;
    this.#numTenants = numTenants;
    const yieldToEvents = async (): Promise<void> => {
      await Promise.resolve();
      this.#betweenSteps();
    };
    const store = swapBytes === undefined ? undefined : this.#countingStore(swapBytes);
    const hashEngine = createHashEngine({ ...options, store, nanPeriod: NAN_PERIOD, yieldToEvents });
    const { kernels, engine, memory, formats, model } = hashEngine;
    this.kernels = kernels;
    this.engine = engine;
    this.memory = memory;
    this.#model = model;
    const { vocabularySize } = tokenizer;
    const { mostTokens } = model;
    this.#requests = new RandomRequests(rng, { vocabularySize, maxContext, formats, mostTokens, numTenants });
    this.#countOperations();
    kernels.onStep = async (step) => {
      this.#operate(0.05);
      return step;
    };
  }

  /**
   * Runs bursts of requests until there were as many steps. After each burst the engine is idle: then nobody may own a
   * page but conversations and the prefix tree, and nobody at all once these are released.
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
      await this.#checkStats();
      if (this.#chance(0.1)) this.#releaseAll();
    }
    this.#releaseAll();
    return this.counts;
  }

  /** What the engine tells of itself, while nothing runs. */
  async #checkStats(): Promise<void> {
    const { requests, pages, memory, counts } = await this.engine.stats();
    const { finished, aborted, failed } = this.counts;
    assert.deepEqual(requests, { running: 0, waiting: 0 });
    assert.equal(counts.endedRequests, finished + aborted + failed);
    assert.ok(counts.preemptions >= this.counts.preemptions);
    const numBytes = pages.byFormat.reduce((total, { bytes }) => total + bytes, 0);
    assert.equal(numBytes, memory.usedBytes);
  }

  #countingStore(maxBytes: number): MemoryPageStore {
    const { counts } = this;
    return new (class extends MemoryPageStore {
      override get(page: ChainPage): StoredPage | undefined {
        const stored = super.get(page);
        if (stored) counts.restores++;
        return stored;
      }
    })(maxBytes);
  }

  #countOperations(): void {
    const { memory, kernels, counts } = this;
    const { evictOne, fork } = KvMemory.prototype;
    memory.evictOne = (tenant) => {
      const isEvicted = evictOne.call(memory, tenant);
      if (isEvicted) counts.evictions++;
      return isEvicted;
    };
    let forkCopies = 0;
    memory.fork = (sequence) => {
      const before = kernels.numCopies;
      const forked = fork.call(memory, sequence);
      forkCopies += kernels.numCopies - before;
      counts.forks++;
      return forked;
    };
    Object.defineProperty(counts, 'compactions', { enumerable: true, get: () => kernels.numCopies - forkCopies });
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
    this.#checkQuota();
  }

  #checkQuota(): void {
    const { tenantQuotaUnits = Infinity } = this.#sharing;
    for (let i = 1; i <= this.#numTenants; i++) {
      const numUnits = this.memory.tree.unitsOfTenant(tenantName(i));
      assert.ok(numUnits <= tenantQuotaUnits, `${tenantName(i)} has ${numUnits} units`);
    }
  }

  /** Does this and that, with a probability each. */
  #operate(probability: number): void {
    if (this.#numToSubmit > 0 && this.#chance(probability)) this.#submit();
    if (this.#chance(probability / 50)) this.#abort();
    if (this.#chance(probability / 10)) this.engine.releaseConversation(this.#conversation());
    if (this.#chance(probability / 5)) this.#fork();
    if (this.#chance(probability / 100)) this.#declarePublicPrefix();
  }

  #submit(): void {
    this.#numToSubmit--;
    if (this.#chance(0.02)) this.#submitTooLong();
    const request = this.#requests.next();
    const expected = expectedAnswer(request, this.#model);
    const { promptTokens, format = this.#model.format, tenant = DEFAULT_TENANT } = request;
    const numPublicTokens = this.#numPublicTokens(promptTokens);
    const numPromptTokens = promptTokens.length;
    const tokens = [...promptTokens, ...expected.tokenIds];
    const sharer = { format, tenant, numPublicTokens, numPromptTokens, tokens };
    if (request.reusePrefix !== false) this.#shareable.add(sharer);
    const events = new RecordedEvents();
    const { id, result } = this.engine.submit(request, events);
    const pending = { id, request, events, expected, sharer };
    this.#pending.set(id, pending);
    this.counts.mostPending = Math.max(this.counts.mostPending, this.#pending.size);
    this.#checks.push(this.#check(pending, result).catch((error) => void this.#problems.push(error)));
  }

  #submitTooLong(): void {
    assert.throws(() => this.engine.submit(this.#requests.tooLong(), new RecordedEvents()), {
      name: 'KvantError',
      message: /^the prompt has \d+ tokens, but the (KV cache|context) holds \d+/,
    });
    this.counts.refused++;
  }

  #abort(): void {
    const ids = [...this.#pending.keys()];
    if (ids.length > 0) this.engine.abort(ids[this.#int(0, ids.length - 1)]);
  }

  #fork(): void {
    const [from, to] = [this.#conversation(), this.#conversation()];
    this.engine.forkConversation(from, to);
    this.#requests.forked(from, to);
  }

  #declarePublicPrefix(): void {
    if (this.#publicPrefixes.length === MAX_PUBLIC_PREFIXES) return;
    const prefix = this.#requests.sharedPrefix();
    this.engine.declarePublicPrefix(prefix);
    this.#publicPrefixes.push(prefix);
  }

  #numPublicTokens(prompt: readonly number[]): number {
    const lengths = this.#publicPrefixes.map((prefix) => [prefix.length, commonPrefixLength(prefix, prompt)]);
    return Math.max(0, ...lengths.filter(([length, common]) => length === common).map(([length]) => length));
  }

  async #check(pending: PendingRequest, promise: Promise<GenerateResult>): Promise<void> {
    const { id, request, events, expected } = pending;
    const result = await promise.catch((error: unknown) => {
      const isExpected = /logits of position \d+ are not numbers/.test(String(error));
      if (isExpected && expected.finishReason === undefined) return undefined;
      throw new Error(`request ${id}: ${String(error)}`, { cause: error });
    });
    this.#pending.delete(id);
    if (result) this.#checkResult(pending, result);
    else this.counts.failed++;
    events.check(request, expected, result);
    this.counts.logProbs += events.logProbs.size;
  }

  #checkResult({ id, request, expected, sharer }: PendingRequest, result: GenerateResult): void {
    const { tokenIds, finishReason } = result;
    const isAborted = finishReason === 'aborted';
    this.counts[isAborted ? 'aborted' : 'finished']++;
    this.counts.preemptions += result.preemptions;
    const expectedIds = isAborted ? expected.tokenIds.slice(0, tokenIds.length) : expected.tokenIds;
    assert.deepEqual(tokenIds, expectedIds, `request ${id} has other tokens`);
    if (!isAborted) assert.equal(finishReason, expected.finishReason, `request ${id}`);
    if (!isAborted) assert.equal(result.text, expected.text, `request ${id}`);
    this.#checkCached(request, sharer, result.cachedTokens);
    this.#requests.ended(request, tokenIds);
  }

  /** Pages come from where they may: a request of the same tenant and format, or a public prefix. */
  #checkCached(request: EngineRequest, sharer: PageSharer, cachedTokens: number): void {
    const firstWanted = request.logProbsAt[0] ?? Infinity;
    assert.ok(cachedTokens <= Math.min(request.promptTokens.length - 1, firstWanted), 'too much was cached');
    if (cachedTokens === 0) return;
    assert.notEqual(request.reusePrefix, false, 'something was cached that should have been computed');
    if (request.conversation !== undefined) return void this.counts.continued++;
    assert.ok(this.#shareable.canBeShared(sharer, cachedTokens), `nobody may share ${cachedTokens} tokens`);
    this.counts.prefixHits++;
    if (cachedTokens <= sharer.numPublicTokens) this.counts.publicHits++;
  }

  #releaseAll(): void {
    for (let i = 0; i < NUM_CONVERSATIONS; i++) this.engine.releaseConversation(i);
    this.engine.checkPages();
    const { pool, tree } = this.memory;
    tree.clear();
    this.engine.checkPages();
    assert.deepEqual(
      [pool.numFreeUnits, pool.numPages, tree.numPages],
      [pool.numUnits, 0, 0],
      'pages that never came back',
    );
  }

  #conversation(): number {
    return this.#int(0, NUM_CONVERSATIONS - 1);
  }

  #chance(probability: number): boolean {
    return this.#int(0, 9999) < 10_000 * probability;
  }
}
