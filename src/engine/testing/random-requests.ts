import { uniformInt } from 'pure-rand/distribution/uniformInt';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { SAMPLING_DEFAULTS } from '../defaults.ts';
import type { EngineRequest } from '../request.ts';

const NUM_SHARED_TEXTS = 4;
const MAX_TAIL = 20;
const MAX_ANSWER = 40;

/** Conversations are told apart by numbers below it. */
export const NUM_CONVERSATIONS = 4;

interface RequestShape {
  readonly vocabularySize: number;
  readonly maxContext: number;
  /** Lengths at which prompts often end: where pages do. */
  readonly pageSize: number;
  readonly numSinkTokens: number;
}

/** Requests that share beginnings, continue conversations or take them back, and stop in all the ways there are. */
export class RandomRequests {
  readonly #rng: RandomGenerator;
  readonly #shape: RequestShape;
  readonly #sharedTexts: readonly (readonly number[])[];
  /** Tokens of each conversation so far. */
  readonly #conversations = new Map<number, readonly number[]>();

  constructor(rng: RandomGenerator, shape: RequestShape) {
    this.#rng = rng;
    this.#shape = shape;
    this.#sharedTexts = Array.from({ length: NUM_SHARED_TEXTS }, () => this.#tokens(shape.maxContext));
  }

  next(): EngineRequest {
    const conversation = this.#chance(0.4) ? this.#int(0, NUM_CONVERSATIONS - 1) : undefined;
    const promptTokens = this.#prompt(conversation);
    const positions = [0, this.#int(0, promptTokens.length - 1), promptTokens.length - 1];
    return {
      promptTokens,
      sampling: this.#chance(0.5)
        ? { ...SAMPLING_DEFAULTS, seed: 0 }
        : { ...SAMPLING_DEFAULTS, temperature: 1, topK: this.#int(0, 9), seed: this.#int(0, 1000) },
      maxTokens: this.#chance(0.1) ? undefined : this.#int(0, MAX_ANSWER),
      stop: this.#chance(0.2) ? ['abcdefghij'[this.#int(0, 9)]] : [],
      logProbsAt: this.#chance(0.2) ? [...new Set(positions)].sort((a, b) => a - b) : [],
      conversation,
    };
  }

  /** A conversation's request has ended: the next one goes on from there. */
  ended({ conversation, promptTokens }: EngineRequest, tokenIds: readonly number[]): void {
    if (conversation !== undefined) this.#conversations.set(conversation, [...promptTokens, ...tokenIds]);
  }

  #prompt(conversation: number | undefined): number[] {
    const { maxContext } = this.#shape;
    const history = conversation === undefined ? undefined : this.#conversations.get(conversation);
    const start = history && this.#chance(0.8) ? this.#continued(history) : this.#shared();
    const end = this.#chance(0.1) ? [] : this.#tokens(this.#int(1, MAX_TAIL));
    const prompt = [...start, ...end].slice(0, maxContext);
    return prompt.length > 0 ? prompt : this.#tokens(1);
  }

  #continued(history: readonly number[]): readonly number[] {
    return this.#chance(0.7) ? history : history.slice(0, this.#int(0, history.length));
  }

  #shared(): readonly number[] {
    const { maxContext, pageSize, numSinkTokens } = this.#shape;
    const text = this.#sharedTexts[this.#int(0, NUM_SHARED_TEXTS - 1)];
    if (this.#chance(0.5)) return text.slice(0, this.#int(1, maxContext));
    const numPages = this.#int(0, Math.floor((maxContext - numSinkTokens) / pageSize));
    return text.slice(0, Math.max(1, numSinkTokens + numPages * pageSize + this.#int(-1, 1)));
  }

  #tokens(length: number): number[] {
    return Array.from({ length }, () => this.#int(0, this.#shape.vocabularySize - 1));
  }

  #chance(probability: number): boolean {
    return this.#int(0, 999) < 1000 * probability;
  }

  #int(from: number, to: number): number {
    return uniformInt(this.#rng, from, to);
  }
}
