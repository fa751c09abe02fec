import { uniformInt } from 'pure-rand/distribution/uniformInt';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import type { KvFormat } from '../../quant/kv-format.ts';
import { SAMPLING_DEFAULTS } from '../defaults.ts';
import type { EngineRequest } from '../request.ts';

const NUM_SHARED_TEXTS = 4;
const MAX_TAIL = 20;
const MAX_SHORT_ANSWER = 40;

/** Conversations are told apart by numbers below it. */
export const NUM_CONVERSATIONS = 6;

/** @param number from 1 on */
export function tenantName(number: number): string {
  return `tenant ${number}`;
}

interface RequestShape {
  readonly vocabularySize: number;
  readonly maxContext: number;
  readonly formats: readonly KvFormat[];
  /** Most tokens of a sequence in a format. */
  readonly mostTokens: (format: KvFormat) => number;
  readonly numTenants: number;
}

/** A conversation so far. */
interface History {
  readonly tokens: readonly number[];
  readonly tenant: string;
  readonly format: KvFormat;
}

/** Requests that share beginnings, continue conversations or take them back, and stop in all the ways there are. */
export class RandomRequests {
  readonly #rng: RandomGenerator;
  readonly #shape: RequestShape;
  /** The same for all tenants and formats. */
  readonly #sharedTexts: readonly (readonly number[])[];
  readonly #conversations = new Map<number, History>();

  constructor(rng: RandomGenerator, shape: RequestShape) {
    this.#rng = rng;
    this.#shape = shape;
    this.#sharedTexts = Array.from({ length: NUM_SHARED_TEXTS }, () => this.#tokens(shape.maxContext));
  }

  next(): EngineRequest {
    const conversation = this.#chance(0.4) ? this.#int(0, NUM_CONVERSATIONS - 1) : undefined;
    const history = conversation === undefined ? undefined : this.#conversations.get(conversation);
    const isSame = this.#chance(0.9);
    const format = isSame && history ? history.format : this.#format();
    const tenant = isSame && history ? history.tenant : tenantName(this.#int(1, this.#shape.numTenants));
    const promptTokens = this.#prompt(history, format).slice(0, this.#shape.mostTokens(format));
    return {
      promptTokens,
      sampling: this.#chance(0.5)
        ? { ...SAMPLING_DEFAULTS, seed: 0 }
        : { ...SAMPLING_DEFAULTS, temperature: 1, topK: this.#int(0, 9), seed: this.#int(0, 1000) },
      maxTokens: this.#chance(0.5) ? undefined : this.#int(0, MAX_SHORT_ANSWER),
      stop: this.#chance(0.2) ? ['abcdefghij'[this.#int(0, 9)]] : [],
      logProbsAt: this.#chance(0.15) ? this.#positions(promptTokens.length) : [],
      conversation,
      // The default one is not named now and then.
      format: format === this.#shape.formats[0] && this.#chance(0.5) ? undefined : format,
      tenant,
      priority: this.#int(0, 2),
      ...(this.#chance(0.05) && { reusePrefix: false }),
    };
  }

  /** Of a format, with more tokens than a sequence may have. */
  tooLong(): EngineRequest {
    const format = this.#format();
    return { ...this.next(), format, promptTokens: this.#tokens(this.#shape.mostTokens(format) + 1), logProbsAt: [] };
  }

  /** The beginning of a text that many requests begin with, up to the end of a page or beside it. */
  sharedPrefix(): readonly number[] {
    return this.#shared(this.#format());
  }

  /** A conversation's request has ended: the next one goes on from there. */
  ended({ conversation, promptTokens, tenant, format }: EngineRequest, tokenIds: readonly number[]): void {
    if (conversation === undefined || tenant === undefined) return;
    const tokens = [...promptTokens, ...tokenIds];
    this.#conversations.set(conversation, { tokens, tenant, format: format ?? this.#shape.formats[0] });
  }

  /** One conversation goes on as another one from here. */
  forked(from: number, to: number): void {
    const history = this.#conversations.get(from);
    if (history) this.#conversations.set(to, history);
  }

  #prompt(history: History | undefined, format: KvFormat): number[] {
    const start = history && this.#chance(0.8) ? this.#continued(history.tokens) : this.#shared(format);
    const end = this.#chance(0.1) ? [] : this.#tokens(this.#int(1, MAX_TAIL));
    const prompt = [...start, ...end];
    return prompt.length > 0 ? prompt : this.#tokens(1);
  }

  #continued(history: readonly number[]): readonly number[] {
    return this.#chance(0.7) ? history : history.slice(0, this.#int(0, history.length));
  }

  #shared({ pageSize, numSinkTokens }: KvFormat): readonly number[] {
    const { maxContext } = this.#shape;
    const text = this.#sharedTexts[this.#int(0, NUM_SHARED_TEXTS - 1)];
    if (this.#chance(0.3)) return text.slice(0, this.#int(1, maxContext));
    const mostPages = Math.floor((maxContext - numSinkTokens) / pageSize);
    // Short ones more often: what starts small and grows is what gets preempted.
    const numPages = Math.min(this.#int(0, mostPages), this.#int(0, mostPages));
    return text.slice(0, Math.max(1, numSinkTokens + numPages * pageSize + this.#int(-1, 1)));
  }

  #positions(numTokens: number): number[] {
    const first = this.#chance(0.5) ? [0] : [];
    return [...new Set([...first, this.#int(0, numTokens - 1), numTokens - 1])].sort((a, b) => a - b);
  }

  #format(): KvFormat {
    const { formats } = this.#shape;
    return formats[this.#int(0, formats.length - 1)];
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
