import type { Model } from '../engine/types.ts';
import type { Contender } from './contender.ts';

/** What decoding the answers to several prompts took. */
export interface DecodeRun {
  /** After the first one of each answer. */
  readonly numTokens: number;
  readonly decodeMs: number;
  readonly numDrafted: number;
  readonly numAccepted: number;
  readonly answers: readonly (readonly number[])[];
}

export interface DecodeTask {
  readonly prompts: readonly string[];
  readonly maxTokens: number;
}

const MS_PER_SECOND = 1000;

/** Answers messages one after the other, greedily, with drafts or without. Closing it leaves the model to its owner. */
export class SpeculationContender implements Contender<DecodeTask, DecodeRun> {
  readonly label: 'off' | 'lookup';
  readonly #model: Model;

  constructor(model: Model, mode: 'off' | 'lookup') {
    this.label = mode;
    this.#model = model;
  }

  async measure({ prompts, maxTokens }: DecodeTask, signal: AbortSignal): Promise<DecodeRun> {
    let [numTokens, decodeMs, numDrafted, numAccepted] = [0, 0, 0, 0];
    const answers: (readonly number[])[] = [];
    for (const content of prompts) {
      const messages = [{ role: 'user' as const, content }];
      const options = { messages, maxTokens, speculate: this.label, reusePrefix: false, signal };
      const { tokenIds, timings, speculation } = await this.#model.generate(options).result;
      signal.throwIfAborted();
      answers.push(tokenIds);
      numDrafted += speculation?.drafted ?? 0;
      numAccepted += speculation?.accepted ?? 0;
      if (timings.decodeTps === undefined) continue;
      numTokens += tokenIds.length - 1;
      decodeMs += ((tokenIds.length - 1) * MS_PER_SECOND) / timings.decodeTps;
    }
    return { numTokens, decodeMs, numDrafted, numAccepted, answers };
  }

  async close(): Promise<void> {
    // The model is its owner's.
  }
}
