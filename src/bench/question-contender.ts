import type { Model } from '../engine/types.ts';
import { KvantError } from '../errors.ts';
import type { Contender } from './contender.ts';
import type { FirstToken } from './first-token-report.ts';

/** A question about a document that was asked about before. */
export interface QuestionTask {
  readonly document: readonly number[];
  /** Never the same twice. */
  readonly question: readonly number[];
}

/** Computes the document again, or finds it in the cache where an earlier question has left it. Closing it leaves the model to its owner. */
export class QuestionContender implements Contender<QuestionTask, FirstToken> {
  readonly label: string;
  readonly #model: Model;
  readonly #reusePrefix: boolean;

  constructor(model: Model, way: 'recompute' | 'prefix hit') {
    this.label = way;
    this.#model = model;
    this.#reusePrefix = way === 'prefix hit';
  }

  async measure({ document, question }: QuestionTask, signal: AbortSignal): Promise<FirstToken> {
    const tokens = [...document, ...question];
    const options = { tokens, maxTokens: 1, reusePrefix: this.#reusePrefix, ignoreEnd: true, signal };
    const { timings, cachedTokens } = await this.#model.generate(options).result;
    signal.throwIfAborted();
    if (cachedTokens > 0 === this.#reusePrefix) return { ms: timings.ttftMs, cachedTokens };
    throw new KvantError('ENGINE_FAILED', `${this.label}: ${cachedTokens} tokens came from the cache`);
  }

  async close(): Promise<void> {
    // The model is its owner's.
  }
}
