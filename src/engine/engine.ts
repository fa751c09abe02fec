import type { SequencePages } from '../cache/sequence-pages.ts';
import { KvantError } from '../errors.ts';
import type { Kernels, Step } from '../kernels/kernels.ts';
import type { Tokenizer } from '../tokens/tokenizer.ts';
import { Admission } from './admission.ts';
import { AnswerText } from './answer-text.ts';
import type { Auditor } from './auditor.ts';
import { createBatch, type Batch, type BatchEntry } from './batch.ts';
import { checkRequest } from './check-request.ts';
import { ConversationCache } from './conversation-cache.ts';
import { forkConversation } from './conversation-fork.ts';
import { EngineCounters } from './engine-counters.ts';
import { EngineRun } from './engine-run.ts';
import { engineStats } from './engine-stats.ts';
import type { ForwardModel } from './forward-model.ts';
import type { KvMemory } from './kv-memory.ts';
import type { KvSequence } from './kv-sequence.ts';
import { PageSupply } from './page-supply.ts';
import { PublicPrefixes } from './public-prefixes.ts';
import type { QueuePolicy } from './queue-order.ts';
import type { EngineRequest, RequestEvents } from './request.ts';
import { RequestTimer } from './request-timer.ts';
import { SessionPages } from './session-pages.ts';
import { planStep, type PlannedSegment } from './scheduler.ts';
import { createSequence, kvOf, pagesOf, toRunningSequence } from './sequence.ts';
import { isDecodeOnly, useDrafts } from './drafts.ts';
import { createSpeculator, resolveMode, type SpeculationParts } from './speculation/create-speculator.ts';
import type { EngineStats, StatsOptions } from './stats-types.ts';
import { StepLoop } from './step-loop.ts';
import { StepRoom } from './step-room.ts';
import { TenantService } from './tenant-service.ts';
import type { FinishReason, GenerateResult } from './types.ts';
import { numLargestForAll, useLargest } from './use-largest.ts';
import { useLogits } from './use-logits.ts';

/** How an engine shares its steps and pages out. Answers do not depend on any of it. */
export interface EngineSharing {
  /** Most sequences that run at a time. */
  readonly maxSequences: number;
  /** Most prompt tokens of one sequence in a step; as many as fit where absent. */
  readonly prefillChunk?: number | undefined;
  /** Most prompt tokens of a step in which somebody decodes; no limit where absent. */
  readonly maxPrefillRows?: number | undefined;
  /** Default `fcfs`. */
  readonly policy?: QueuePolicy | undefined;
  /** Most units of page memory that one tenant may have; no limit where absent. */
  readonly tenantQuotaUnits?: number | undefined;
}

export interface EngineParts {
  readonly kernels: Kernels;
  readonly model: ForwardModel;
  readonly tokenizer: Tokenizer;
  readonly memory: KvMemory;
  readonly loadMs: number;
  readonly sharing: EngineSharing;
  /** What makes drafts for requests that want them; nobody gets any where absent. */
  readonly speculation?: SpeculationParts | undefined;
  /** Lets other events of the thread happen; awaited between steps, so that an abort arrives within one. */
  readonly yieldToEvents: () => Promise<void>;
}

/** A request that the engine has taken. */
export interface SubmittedRequest {
  readonly id: number;
  /** @throws KvantError ENGINE_FAILED, ENGINE_CLOSED. An abort resolves. */
  readonly result: Promise<GenerateResult>;
}

/**
 * Generates text for many sequences at a time. Work is done in steps: the scheduler chooses tokens, the model computes
 * them, the sampler extends the sequences. The engine runs steps by itself as long as there is anything to do, and none
 * otherwise.
 */
export class Engine {
  /** Pages on their way to files and back. */
  readonly sessions: SessionPages;
  readonly #parts: EngineParts;
  readonly #conversations = new ConversationCache();
  readonly #publicPrefixes = new PublicPrefixes();
  readonly #supply: PageSupply;
  readonly #admission: Admission;
  readonly #stepRoom: StepRoom;
  readonly #waiting: EngineRun[] = [];
  /** By id, in the order in which they started. */
  readonly #running = new Map<number, EngineRun>();
  readonly #service = new TenantService();
  readonly #counters = new EngineCounters();
  #numSteps = 0;
  #nextId = 0;
  #auditor: Auditor | undefined;
  readonly #loop: StepLoop;
  /** Why the engine takes no more requests. */
  #end: KvantError | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    const { memory, sharing } = parts;
    const { maxSequences, policy = 'fcfs', tenantQuotaUnits } = sharing;
    this.#loop = new StepLoop({
      hasWork: () => this.#hasRequests || (this.#end === undefined && this.#auditor?.hasWork === true),
      hasEnded: () => this.#end !== undefined,
      runStep: () => (this.#hasRequests || !this.#auditor ? this.#runStep() : this.#auditor.step()),
      onFailure: (cause) => this.#fail(cause),
      yieldToEvents: () => parts.yieldToEvents(),
    });
    this.#supply = new PageSupply(memory, this.#conversations);
    const supply = this.#supply;
    this.#admission = new Admission(memory, this.#conversations, supply, { maxSequences, policy, tenantQuotaUnits });
    this.#stepRoom = new StepRoom({ supply, policy, tenantQuotaUnits, preempt: (run) => this.#preempt(run) });
    this.sessions = new SessionPages({
      ...{ memory, supply, publicPrefixes: this.#publicPrefixes, tenantQuotaUnits },
      pagesRunning: (tenant) => this.#pagesRunning(tenant),
      betweenSteps: (task) => this.betweenSteps(task),
    });
  }

  /**
   * Queues a request; it starts as soon as there is room.
   *
   * @throws KvantError PROMPT_TOO_LONG, INVALID_OPTION for a token outside the vocabulary or a position outside the
   *   prompt, OUT_OF_MEMORY for a prompt that the KV cache cannot hold, ENGINE_FAILED or ENGINE_CLOSED if the engine has ended
   */
  submit(request: EngineRequest, events: RequestEvents): SubmittedRequest {
    if (this.#end) throw this.#end;
    const { tokenizer, loadMs, memory, kernels, sharing, speculation } = this.#parts;
    const cache = request.format ? memory.cacheOf(request.format) : memory.defaultCache;
    const longest = memory.longestSequence(cache, sharing.tenantQuotaUnits);
    const limits = { ctx: kernels.config.maxContext, longest, vocabularySize: tokenizer.vocabularySize };
    checkRequest(request, limits, cache.format.name);
    const numPublicTokens = this.#publicPrefixes.lengthIn(request.promptTokens);
    const maxTokens = Math.min(limits.ctx, longest);
    const sequence = createSequence(this.#nextId++, request, { cache, numPublicTokens, maxTokens });
    const answer = new AnswerText(tokenizer, request.stop, request.ignoreEnd);
    const timer = new RequestTimer(() => performance.now());
    const mode = resolveMode(request.speculate, speculation?.draftModel !== undefined);
    const speculator = speculation && createSpeculator(mode, request, speculation);
    const counters = this.#counters;
    const drafts = speculator && { mode, speculator };
    const run = new EngineRun({ sequence, answer, timer, events, counters, loadMs, drafts });
    this.#service.arrived(run.tenant, tenantsOf(this.#waiting));
    this.#waiting.push(run);
    this.#loop.wake();
    return { id: sequence.id, result: run.result };
  }

  /** Ends a request before the next step; nothing happens if it has ended. */
  abort(id: number): void {
    const run = this.#running.get(id) ?? this.#waiting.find(({ sequence }) => sequence.id === id);
    if (run) run.sequence.status = 'aborted';
  }

  /** Lets the pages of a conversation go, but for those that the prefix tree keeps. If a step is under way, then after it. */
  releaseConversation(conversation: number): void {
    this.#loop.afterStep(() => this.#conversations.release(conversation));
  }

  /**
   * Makes a conversation begin as another one: sealed pages are shared, the open page is copied if there is room. Nothing happens
   * if the other one has no pages. If a step is under way, it happens after it, and before any request submitted later starts.
   */
  forkConversation(from: number, to: number): void {
    this.#loop.afterStep(() => this.#fork(from, to));
  }

  #fork(from: number, to: number): void {
    if (this.#end) return;
    const { memory, sharing } = this.#parts;
    const pagesRunning = (tenant: string): SequencePages[] => this.#pagesRunning(tenant);
    const { tenantQuotaUnits } = sharing;
    const [conversations, supply] = [this.#conversations, this.#supply];
    forkConversation({ memory, conversations, supply, tenantQuotaUnits, pagesRunning }, from, to);
  }

  /** Audits requests from now on. */
  startAudits(auditor: Auditor): void {
    this.#auditor = auditor;
  }

  get #hasRequests(): boolean {
    return this.#waiting.length > 0 || this.#running.size > 0;
  }

  /** Lets all tenants share pages of sequences that begin with these tokens, as far as the tokens go. */
  declarePublicPrefix(tokens: readonly number[]): void {
    this.#publicPrefixes.add(tokens);
  }

  /**
   * Does something to the page memory while no step runs.
   *
   * @param task is given what frees pages; not asynchronous
   * @throws KvantError ENGINE_FAILED or ENGINE_CLOSED if the engine has ended, and what the task throws
   */
  betweenSteps<T>(task: (memory: KvMemory, makeRoom: PageSupply['makeRoom']) => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#loop.afterStep(() => {
      if (this.#end) return reject(this.#end);
      try {
        resolve(task(this.#parts.memory, this.#supply.makeRoom));
      } catch (error) {
        reject(error);
      }
    });
    return promise;
  }

  /** What runs and waits, the pages and what was counted, of one tenant or of all. @throws as `betweenSteps` */
  stats({ tenant }: StatsOptions = {}): Promise<EngineStats> {
    return this.betweenSteps((memory) => {
      const [counters, steps, waiting] = [this.#counters, this.#numSteps, this.#waiting];
      const [running, conversations] = [this.#running.values(), this.#conversations.all()];
      const audit = this.#auditor?.stats(tenant);
      return engineStats({ memory, running, waiting, conversations, counters, steps, audit }, tenant);
    });
  }

  /**
   * Rejects everything that runs or waits with ENGINE_CLOSED, and returns when the step that is under way has ended.
   */
  async close(): Promise<void> {
    this.#endAll(new KvantError('ENGINE_CLOSED', 'the model was closed: load it again to generate more'));
    await this.#loop.ended();
    this.#parts.memory.store?.close();
  }

  /**
   * Checks that every page has exactly the owners that it counts.
   *
   * @throws PageIntegrityError with the sum that fails
   */
  checkPages(): void {
    const owners: KvSequence[] = [...this.#running.values()].map(({ sequence }) => kvOf(sequence));
    const pages = [...owners, ...this.#conversations.all()].map((kv) => kv.pages);
    this.#parts.memory.check([...pages, ...this.#supply.holds]);
  }

  #pagesRunning(tenant: string): SequencePages[] {
    return [...this.#running.values()].flatMap((run) => (run.tenant === tenant ? [pagesOf(run.sequence)] : []));
  }

  /** Scheduler -> batch -> forward -> sample -> commit. */
  async #runStep(): Promise<void> {
    this.#endAborted();
    this.#admit();
    await this.#makeDrafts();
    const plan = this.#plan();
    if (plan.length === 0) return;
    const sequences = [...this.#running.values()].map(({ sequence }) => sequence);
    const batch = createBatch(plan, sequences, numLargestForAll(this.#running.values()));
    const startMs = performance.now();
    await this.#parts.model.forward(batch.step);
    this.#numSteps++;
    if (isDecodeOnly(batch)) {
      const [numRows, numSequences] = [batch.step.tokenIds.length, batch.entries.length];
      this.#parts.speculation?.costs.observe({ numRows, numSequences, ms: performance.now() - startMs });
    }
    this.#charge(batch);
    for (const entry of batch.entries) this.#commit(entry, batch.step);
  }

  #admit(): void {
    for (;;) {
      const run = this.#admission.admitNext(this.#waiting, this.#running, this.#service.counters);
      if (!run) return;
      const { request, numPreemptions } = run.sequence;
      if (numPreemptions === 0) this.#service.admitted(run.tenant, request.promptTokens.length);
    }
  }

  async #makeDrafts(): Promise<void> {
    const decoding = [...this.#running.values()].filter((run) => run.isDecoding);
    for (const run of decoding) await run.makeDraft(decoding.length - 1);
  }

  /** The segments of the next step; they have their pages. */
  #plan(): PlannedSegment[] {
    const { maxRows } = this.#parts.kernels.config;
    const { prefillChunk = maxRows, maxPrefillRows = Infinity } = this.#parts.sharing;
    const sequences = [...this.#running.values()].map(({ sequence }) => toRunningSequence(sequence));
    const plan = planStep(sequences, { maxRows, prefillChunk, maxPrefillRows });
    return this.#stepRoom.reserve(plan, this.#running, this.#service.counters);
  }

  #preempt(run: EngineRun): void {
    run.preempt();
    this.#running.delete(run.sequence.id);
    this.#waiting.push(run);
  }

  #fail(cause: unknown): void {
    // Such as a GPU that was lost, or has no memory left: it says itself what to do.
    if (cause instanceof KvantError) return this.#endAll(cause);
    const detail = cause instanceof Error ? cause.message : String(cause);
    this.#endAll(new KvantError('ENGINE_FAILED', `the engine failed: ${detail}; load the model again`, { cause }));
  }

  #endAll(reason: KvantError): void {
    this.#end ??= reason;
    for (const run of [...this.#waiting.splice(0), ...this.#running.values()]) run.fail(this.#end);
    this.#running.clear();
  }

  #endAborted(): void {
    for (const run of this.#running.values()) {
      if (run.sequence.status === 'aborted') this.#finish(run, 'aborted');
    }
    const aborted = this.#waiting.filter(({ sequence }) => sequence.status === 'aborted');
    for (const run of aborted) {
      this.#waiting.splice(this.#waiting.indexOf(run), 1);
      run.finish('aborted');
      this.#countEnd();
    }
  }

  /** Counts a token for each sequence that gets one; more where drafts are accepted, which cost no step. */
  #charge({ entries }: Batch): void {
    const served = entries.filter(({ outputs, sequence }) => outputs.at(-1)?.position === sequence.tokens.length - 1);
    this.#service.served(served.flatMap(({ sequence }) => this.#running.get(sequence.id)?.tenant ?? []));
  }

  /** Takes in what a step has computed for a sequence, which may end it. */
  #commit(entry: BatchEntry, step: Step): void {
    const { sequence, numTokens, draft, outputs } = entry;
    const run = this.#running.get(sequence.id);
    // Closing may have ended it while the step ran.
    if (!run) return;
    run.committed(numTokens + draft.length, this.#parts.memory.tree);
    if (sequence.status === 'aborted') return this.#finish(run, 'aborted');
    try {
      if (draft.length > 0) useDrafts(run, entry, (position, row) => this.#useLogits(run, position, row, step));
      else for (const { position, outputRow } of outputs) this.#useLogits(run, position, outputRow, step);
    } catch (error) {
      return this.#drop(run, error);
    }
    const reason = run.finishReason();
    if (reason) this.#finish(run, reason);
  }

  #useLogits(run: EngineRun, position: number, outputRow: number, { numLargest }: Step): void {
    const { kernels, model, tokenizer } = this.#parts;
    if (numLargest !== undefined && kernels.readLargest) {
      return useLargest(run, position, kernels.readLargest(model.logits, outputRow));
    }
    useLogits(run, position, kernels.readRow(model.logits, outputRow), tokenizer);
  }

  #finish(run: EngineRun, reason: FinishReason): void {
    run.finish(reason);
    this.#running.delete(run.sequence.id);
    this.#countEnd();
    const { request, tokens } = run.sequence;
    const kv = kvOf(run.sequence);
    if (reason !== 'aborted') this.#auditor?.answered(run.answered);
    if (request.reusePrefix !== false) kv.touch(this.#parts.memory.tree);
    if (request.conversation === undefined) kv.release();
    else this.#conversations.keep(request.conversation, tokens, kv, this.#parts.memory.tree.tick());
  }

  #drop(run: EngineRun, error: unknown): void {
    run.fail(error);
    this.#running.delete(run.sequence.id);
    this.#countEnd();
    pagesOf(run.sequence).release();
  }

  #countEnd(): void {
    this.#service.ended(tenantsOf([...this.#waiting, ...this.#running.values()]));
  }
}

function tenantsOf(runs: readonly EngineRun[]): string[] {
  return runs.map(({ tenant }) => tenant);
}
