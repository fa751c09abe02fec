import type { Model } from '../engine/types.ts';
import { KvantError } from '../errors.ts';
import type { Contender } from './contender.ts';
import type { FirstToken } from './first-token-report.ts';
import type { QuestionTask } from './question-contender.ts';

/** Loads the document's pages from a session file before it asks. Closing it closes the model. */
export class RestoreContender implements Contender<QuestionTask, FirstToken> {
  readonly label = 'file';
  readonly #model: Model;
  readonly #path: string;
  #numRuns = 0;

  /** @param path of a session file of the document, which the model's cache does not have */
  constructor(model: Model, path: string) {
    this.#model = model;
    this.#path = path;
  }

  async measure({ document, question }: QuestionTask, signal: AbortSignal): Promise<FirstToken> {
    // Another tenant in every run: nobody finds what an earlier run has left in the cache.
    const tenant = `run ${this.#numRuns++}`;
    const startMs = performance.now();
    const { problem } = await this.#model.loadSession(this.#path, { tenant });
    const loadMs = performance.now() - startMs;
    const options = { tokens: [...document, ...question], maxTokens: 1, ignoreEnd: true, tenant, signal };
    const { timings, cachedTokens } = await this.#model.generate(options).result;
    signal.throwIfAborted();
    if (problem === undefined && cachedTokens > 0) return { ms: loadMs + timings.ttftMs, cachedTokens };
    throw new KvantError('ENGINE_FAILED', `file: ${cachedTokens} tokens came from it; ${problem ?? 'it was whole'}`);
  }

  async close(): Promise<void> {
    await this.#model.close();
  }
}
