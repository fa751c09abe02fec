import type { Model } from '../engine/types.ts';
import { KvantError } from '../errors.ts';
import type { Contender } from './contender.ts';
import type { FirstToken } from './first-token-report.ts';
import { randomStream } from './random-stream.ts';

/** Where the pages of a sequence go that has to give them up. */
export type ReturnWay = 'recompute' | 'memory' | 'disk';

export interface ReturnTask {
  readonly seed: number;
  /** Of the sequence that goes and comes back. */
  readonly numTokens: number;
}

/** Tokens that may not come from full pages: those of the open page, and the sink. */
const MAX_OPEN_TOKENS = 68;

/** Room for the sequence and one token, and never the end of a page in any format: nothing of it can stay beside one that takes all of this. */
export function contextOfReturn(numTokens: number): number {
  return Math.ceil((numTokens + 1) / 64) * 64 + 32;
}

/**
 * Lets a sequence lose all of its pages to another one and come back, as one does that was preempted: by reading sealed pages and computing
 * the open one, or by computing all. Closing it closes the model.
 */
export class ReturnContender implements Contender<ReturnTask, FirstToken> {
  readonly label: ReturnWay;
  readonly #model: Model;

  /** @param model loaded with the option `swap` that fits, a context of `contextOfReturn`, and page memory for one such sequence */
  constructor(model: Model, way: ReturnWay) {
    this.#model = model;
    this.label = way;
  }

  async measure({ seed, numTokens }: ReturnTask, signal: AbortSignal): Promise<FirstToken> {
    const random = randomStream(seed);
    const { vocabularySize, ctx } = this.#model.info;
    const draw = (length: number): number[] => Array.from({ length }, () => Math.floor(random() * vocabularySize));
    const tokens = draw(numTokens);
    const first = await this.#generate(tokens, signal);
    await this.#generate(draw(ctx - 1), signal);
    const { timings, cachedTokens } = await this.#generate([...tokens, ...first.tokenIds], signal);
    const isRight = this.label === 'recompute' ? cachedTokens === 0 : cachedTokens >= numTokens - MAX_OPEN_TOKENS;
    if (isRight) return { ms: timings.ttftMs, cachedTokens };
    const message = `${this.label}: ${cachedTokens} of ${numTokens} tokens came from pages that were kept`;
    throw new KvantError('ENGINE_FAILED', message);
  }

  async close(): Promise<void> {
    await this.#model.close();
  }

  async #generate(tokens: readonly number[], signal: AbortSignal) {
    const result = await this.#model.generate({ tokens, maxTokens: 1, ignoreEnd: true, signal }).result;
    signal.throwIfAborted();
    return result;
  }
}
