import { kvUsage } from '../cache/kv-usage.ts';
import type { AnswerText } from './answer-text.ts';
import type { AnsweredRequest } from './audit-plan.ts';
import type { EngineCounters } from './engine-counters.ts';
import type { GrammarFollower } from './grammar/answer-grammar.ts';
import type { KvSequence } from './kv-sequence.ts';
import type { PrefixTree } from '../cache/prefix-tree.ts';
import type { TokenLogProb } from './output-types.ts';
import { DEFAULT_TENANT, type RequestEvents } from './request.ts';
import type { RequestTimer } from './request-timer.ts';
import type { DraftOutcome, Speculator } from './speculation/speculator.ts';
import { MAX_DRAFT_TOKENS } from './defaults.ts';
import { kvOf, numCompletionTokens, pagesOf, type SequenceState } from './sequence.ts';
import type { EngineCounts } from './stats-types.ts';
import { AnswerLogProbs } from './token-log-probs.ts';
import type { FinishReason, GenerateResult, KvReport, SpeculationMode, SpeculationReport, TextChunk } from './types.ts';

export interface EngineRunParts {
  readonly sequence: SequenceState;
  readonly answer: AnswerText;
  readonly timer: RequestTimer;
  readonly events: RequestEvents;
  readonly counters: EngineCounters;
  readonly loadMs: number;
  readonly drafts?: { readonly mode: SpeculationMode; readonly speculator: Speculator } | undefined;
}

/** A request between its submission and its result: the sequence, the text that comes of it, and who hears of it. */
export class EngineRun {
  readonly sequence: SequenceState;
  readonly events: RequestEvents;
  readonly result: Promise<GenerateResult>;
  readonly #parts: EngineRunParts;
  /** Most tokens of the prompt that have ever been computed. */
  #numPromptComputed = 0;
  /** Where they are wanted. */
  readonly #logProbs: AnswerLogProbs | undefined;
  /** Where the answer is in its grammar, if it has one. */
  readonly grammar: GrammarFollower | undefined;
  readonly #settle = Promise.withResolvers<GenerateResult>();

  constructor(parts: EngineRunParts) {
    this.#parts = parts;
    this.sequence = parts.sequence;
    this.events = parts.events;
    this.result = this.#settle.promise;
    this.grammar = parts.sequence.request.grammar?.follow();
    if (parts.sequence.request.topLogProbs !== undefined) this.#logProbs = new AnswerLogProbs();
  }

  get tenant(): string {
    return this.sequence.request.tenant ?? DEFAULT_TENANT;
  }

  /** What it has come to, for an audit. */
  get answered(): AnsweredRequest {
    const { tokens, request, cache } = this.sequence;
    return { tokens, numPromptTokens: request.promptTokens.length, format: cache.format, tenant: this.tenant };
  }

  get priority(): number {
    return this.sequence.request.priority ?? 0;
  }

  /** Whether its prompt has been computed, or found, once. */
  get isPromptComputed(): boolean {
    return pagesOf(this.sequence).numTokens >= this.sequence.request.promptTokens.length;
  }

  /** @param kv what the sequence owns from now on; its tokens are those that the sequence begins with */
  start(kv: KvSequence): void {
    const { sequence, events } = this;
    sequence.kv = kv;
    // Whoever hears that another one starts may have aborted this one.
    if (sequence.status !== 'aborted') sequence.status = 'running';
    this.#parts.timer.start();
    if (sequence.numCachedTokens !== undefined) return;
    sequence.numCachedTokens = kv.pages.numTokens;
    const usage = { promptTokens: sequence.request.promptTokens.length, cachedTokens: kv.pages.numTokens };
    this.#count({ queriedTokens: usage.promptTokens, hitTokens: usage.cachedTokens });
    events.onStart?.(usage);
  }

  /** Whether it waits for its next token only. */
  get isDecoding(): boolean {
    return this.sequence.tokens.length - pagesOf(this.sequence).numTokens === 1;
  }

  /** Guesses what comes after the newest token, for the next step to check. @param numOtherRows rows of others in it */
  async makeDraft(numOtherRows: number): Promise<void> {
    const speculator = this.#parts.drafts?.speculator;
    if (!speculator) return;
    const { tokens, maxLength } = this.sequence;
    // A segment with drafts must not fill its page: sealing cannot be undone.
    const maxTokens = Math.min(
      pagesOf(this.sequence).numTokensToFull - 2,
      maxLength - tokens.length - 1,
      MAX_DRAFT_TOKENS,
    );
    this.sequence.draft = await speculator.draft(tokens, { maxTokens: Math.max(0, maxTokens), numOtherRows });
  }

  /** What became of the drafts of a step. */
  drafted(outcome: DraftOutcome): void {
    this.#parts.drafts?.speculator.observe(outcome);
    const { drafted: draftedTokens, accepted: acceptedTokens } = outcome;
    this.#count({ drafts: 1, draftedTokens, acceptedTokens });
    this.sequence.draft = [];
  }

  /** Lets its pages go; it goes on as soon as there is room. */
  preempt(): void {
    const { sequence } = this;
    kvOf(sequence).release();
    sequence.kv = undefined;
    sequence.draft = [];
    this.#parts.drafts?.speculator.release();
    if (sequence.status !== 'aborted') sequence.status = 'waiting';
    sequence.numPreemptions++;
    this.#count({ preemptions: 1 });
  }

  /**
   * Counts tokens that a step has computed.
   *
   * @param tree that is shown the pages which they have filled
   */
  committed(numTokens: number, tree: PrefixTree): void {
    const { request } = this.sequence;
    const kv = kvOf(this.sequence);
    const totalTokens = request.promptTokens.length;
    kv.pages.commit(numTokens);
    if (request.reusePrefix !== false) kv.publish(tree);
    const computedTokens = Math.min(kv.pages.numTokens, totalTokens);
    // After a preemption it begins again, which is no progress.
    if (computedTokens <= this.#numPromptComputed) return;
    this.#numPromptComputed = computedTokens;
    if (computedTokens === totalTokens) this.#parts.timer.promptComputed();
    this.events.onPrefillProgress({ computedTokens, totalTokens });
  }

  /** @param logProb where the request wants it */
  addToken(token: number, logProb: TokenLogProb | undefined): void {
    this.sequence.tokens.push(token);
    if (logProb) this.#logProbs?.push(logProb);
    this.#parts.timer.token();
    this.#count({ generatedTokens: 1 });
    const chunk = this.#parts.answer.push(token);
    if (!this.#parts.answer.hasStopped) this.grammar?.push(token);
    this.#emit(chunk);
  }

  /** Why the run is over, or undefined while it is not. */
  finishReason(): FinishReason | undefined {
    const { tokens, maxLength, request } = this.sequence;
    if (this.#parts.answer.hasStopped || this.grammar?.hasEnded) return 'stop';
    if (!this.isPromptComputed || tokens.length < maxLength) return undefined;
    return numCompletionTokens(this.sequence) === request.maxTokens ? 'length' : 'context';
  }

  /** Hands out the text that was held back, and resolves the result. The sequence still owns its pages. */
  finish(reason: FinishReason): void {
    const { answer, timer, loadMs, drafts } = this.#parts;
    const { sequence } = this;
    sequence.status = reason === 'aborted' ? 'aborted' : 'finished';
    this.#count({ endedRequests: 1 });
    this.#emit(answer.end());
    // What was held back may have held a stop string, which cuts the text all the same.
    const isCut = answer.hasStopped && reason !== 'aborted';
    const { promptTokens, sampling } = sequence.request;
    const completionTokens = numCompletionTokens(sequence);
    drafts?.speculator.release();
    this.#settle.resolve({
      text: answer.text,
      tokenIds: sequence.tokens.slice(promptTokens.length),
      ...(this.#logProbs && { logProbs: this.#logProbs.all }),
      promptTokens: promptTokens.length,
      cachedTokens: sequence.numCachedTokens ?? 0,
      preemptions: sequence.numPreemptions,
      ...(drafts && { speculation: reportOf(drafts) }),
      completionTokens,
      finishReason: isCut ? 'stop' : reason,
      seed: sampling.seed,
      kv: this.#kvReport(),
      timings: timer.timings(loadMs, promptTokens.length - (sequence.numCachedTokens ?? 0), completionTokens),
    });
  }

  fail(error: unknown): void {
    this.sequence.status = 'finished';
    this.#count({ endedRequests: 1 });
    this.#parts.drafts?.speculator.release();
    this.#settle.reject(error);
  }

  #count(counts: Partial<EngineCounts>): void {
    this.#parts.counters.add(this.tenant, counts);
  }

  #emit(chunk: TextChunk | undefined): void {
    if (chunk) this.events.onChunk(this.#logProbs?.addTo(chunk) ?? chunk);
  }

  #kvReport(): KvReport {
    const { cache, kv } = this.sequence;
    const usage = kvUsage(cache.sealedLayout, kv?.pages.sealedPages.length ?? 0, kv?.pages.numTokens ?? 0);
    return {
      format: cache.format.name,
      bitsPerElement: usage.bitsPerElement,
      bytes: usage.bytes,
      bytesF16: usage.bytesF16,
      tokens: usage.numTokens,
    };
  }
}

function reportOf({ mode, speculator }: NonNullable<EngineRunParts['drafts']>): SpeculationReport {
  const { drafted, accepted, steps } = speculator.stats;
  return { mode, drafted, accepted, steps };
}
