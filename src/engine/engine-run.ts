import { kvUsage } from '../cache/kv-usage.ts';
import type { PageLayout } from '../cache/page-layout.ts';
import { numSealedPages, type PageGeometry, type SequencePages } from '../cache/sequence-pages.ts';
import type { AnswerText } from './answer-text.ts';
import type { RequestEvents } from './request.ts';
import type { RequestTimer } from './request-timer.ts';
import { numCompletionTokens, pagesOf, type SequenceState } from './sequence.ts';
import type { FinishReason, GenerateResult, KvReport, TextChunk } from './types.ts';

export interface EngineRunParts {
  readonly sequence: SequenceState;
  readonly answer: AnswerText;
  readonly timer: RequestTimer;
  readonly events: RequestEvents;
  readonly loadMs: number;
  readonly kvFormatName: string;
  readonly sealedLayout: PageLayout;
}

/** A request between its submission and its result: the sequence, the text that comes of it, and who hears of it. */
export class EngineRun {
  readonly sequence: SequenceState;
  readonly events: RequestEvents;
  readonly result: Promise<GenerateResult>;
  readonly #parts: EngineRunParts;
  readonly #settle = Promise.withResolvers<GenerateResult>();

  constructor(parts: EngineRunParts) {
    this.#parts = parts;
    this.sequence = parts.sequence;
    this.events = parts.events;
    this.result = this.#settle.promise;
  }

  /** @param pages what the sequence owns from now on; their tokens are those of its prompt */
  start(pages: SequencePages): void {
    this.sequence.pages = pages;
    this.sequence.numCachedTokens = pages.numTokens;
    this.sequence.status = 'running';
    this.#parts.timer.start();
  }

  /** Counts tokens that a step has computed. */
  committed(numTokens: number): void {
    const pages = pagesOf(this.sequence);
    const totalTokens = this.sequence.request.promptTokens.length;
    const isPrefill = pages.numTokens < totalTokens;
    pages.commit(numTokens);
    if (!isPrefill) return;
    if (pages.numTokens >= totalTokens) this.#parts.timer.promptComputed();
    this.events.onPrefillProgress({ computedTokens: pages.numTokens, totalTokens });
  }

  addToken(token: number): void {
    this.sequence.tokens.push(token);
    this.#parts.timer.token();
    this.#emit(this.#parts.answer.push(token));
  }

  /** Why the run is over, or undefined while it is not. */
  finishReason(): FinishReason | undefined {
    const { tokens, maxLength, request } = this.sequence;
    if (this.#parts.answer.hasStopped) return 'stop';
    const isPromptComputed = pagesOf(this.sequence).numTokens >= request.promptTokens.length;
    if (!isPromptComputed || tokens.length < maxLength) return undefined;
    return numCompletionTokens(this.sequence) === request.maxTokens ? 'length' : 'context';
  }

  /** Pages that are set aside for the sequence, which it may still allocate. */
  unallocatedPages(geometry: PageGeometry): { readonly openPages: number; readonly sealedPages: number } {
    const { open, sealed } = pagesOf(this.sequence).ownedPages();
    return {
      openPages: 1 - open.length,
      sealedPages: numSealedPages(geometry, this.sequence.maxLength) - sealed.length,
    };
  }

  /** Hands out the text that was held back, and resolves the result. The sequence still owns its pages. */
  finish(reason: FinishReason): void {
    const { answer, timer, loadMs } = this.#parts;
    const { sequence } = this;
    sequence.status = reason === 'aborted' ? 'aborted' : 'finished';
    this.#emit(answer.end());
    // What was held back may have held a stop string, which cuts the text all the same.
    const isCut = answer.hasStopped && reason !== 'aborted';
    const { promptTokens, sampling } = sequence.request;
    const completionTokens = numCompletionTokens(sequence);
    this.#settle.resolve({
      text: answer.text,
      tokenIds: sequence.tokens.slice(promptTokens.length),
      promptTokens: promptTokens.length,
      cachedTokens: sequence.numCachedTokens,
      completionTokens,
      finishReason: isCut ? 'stop' : reason,
      seed: sampling.seed,
      kv: this.#kvReport(),
      timings: timer.timings(loadMs, promptTokens.length - sequence.numCachedTokens, completionTokens),
    });
  }

  fail(error: unknown): void {
    this.sequence.status = 'finished';
    this.#settle.reject(error);
  }

  #emit(chunk: TextChunk | undefined): void {
    if (chunk) this.events.onChunk(chunk);
  }

  #kvReport(): KvReport {
    const { sealedLayout, kvFormatName } = this.#parts;
    const { pages } = this.sequence;
    const usage = kvUsage(sealedLayout, pages?.sealedPages.length ?? 0, pages?.numTokens ?? 0);
    return {
      format: kvFormatName,
      bitsPerElement: usage.bitsPerElement,
      bytes: usage.bytes,
      bytesF16: usage.bytesF16,
      tokens: usage.numTokens,
    };
  }
}
