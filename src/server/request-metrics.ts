import type { Counter, Histogram } from 'prom-client';
import type { FinishReason } from '../index.ts';

/** Why a request is over; `error` where it has no answer. */
export type EndReason = FinishReason | 'error';

/** What is measured of every request. Times are in seconds. */
export interface RequestSeries {
  readonly timeToFirstToken: Histogram;
  readonly interTokenLatency: Histogram;
  readonly endToEnd: Histogram;
  readonly promptTokens: Histogram;
  readonly generationTokens: Histogram;
  readonly ended: Counter<'finished_reason'>;
}

const MS_PER_SECOND = 1000;

/** The name that vLLM's dashboards know a reason by. */
const FINISHED_REASONS: Readonly<Record<EndReason, string>> = {
  stop: 'stop',
  length: 'length',
  context: 'length',
  aborted: 'abort',
  error: 'error',
};

/** The moments of one request, as its client sees them. */
export class RequestMetrics {
  readonly #series: RequestSeries;
  readonly #now: () => number;
  readonly #startedMs: number;
  #lastTokenMs: number | undefined;
  #hasEnded = false;

  /** The request has come. @param now milliseconds of a clock that never goes back */
  constructor(series: RequestSeries, now: () => number) {
    this.#series = series;
    this.#now = now;
    this.#startedMs = now();
  }

  /** So many tokens have come at once. Of several, each counts as having taken the same time. */
  tokens(numTokens: number): void {
    if (numTokens < 1) return;
    const nowMs = this.#now();
    const since = this.#lastTokenMs;
    this.#lastTokenMs = nowMs;
    if (since === undefined) {
      this.#series.timeToFirstToken.observe((nowMs - this.#startedMs) / MS_PER_SECOND);
      return;
    }
    const seconds = (nowMs - since) / MS_PER_SECOND / numTokens;
    for (let i = 0; i < numTokens; i++) this.#series.interTokenLatency.observe(seconds);
  }

  /**
   * The request is over; a second call does nothing.
   *
   * @param tokens of the prompt and of the answer, where there is one
   */
  ended(reason: EndReason, tokens?: { readonly prompt: number; readonly completion: number }): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#series.ended.inc({ finished_reason: FINISHED_REASONS[reason] });
    this.#series.endToEnd.observe((this.#now() - this.#startedMs) / MS_PER_SECOND);
    if (!tokens) return;
    this.#series.promptTokens.observe(tokens.prompt);
    this.#series.generationTokens.observe(tokens.completion);
  }
}
