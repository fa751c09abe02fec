import type { KvFormat } from '../../quant/kv-format.ts';
import { END_ID } from './tiny-engine.ts';

/**
 * A model without weights, whose every output depends on every token before it, on its order, on the KV format, and on
 * which pages are sealed. A position stores an entry of 32 bits; its state is a hash of all entries that it sees: those
 * of its own page and of the sink as they were stored, those of earlier pages as sealing changed them. So a rule of the
 * page format that is broken anywhere changes all that follows, as it would with a real model.
 */

/** MurmurHash3's 32-bit round and finalizer, of a value on top of a hash. */
export function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ Math.imul(value, 0xcc9e2d51), 0x1b873593) + 0x6b64e653;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/** The state before the first token. */
export function firstState({ name }: KvFormat): number {
  return [...name].reduce((hash, letter) => mix(hash, letter.charCodeAt(0)), 1);
}

/** What sealing makes of an entry. */
export function sealedEntry(entry: number, format: KvFormat): number {
  return mix(entry, firstState(format));
}

/** Of the token that ends an answer, which comes seldom enough for long answers. */
const END_LOGIT_SHIFT = -0.6;

/** [vocabulary] logits of a state between -4 and 4; one state in `nanPeriod` gives logits that are not numbers. */
export function logitsOf(state: number, vocabularySize: number, nanPeriod: number): Float32Array {
  const logits = new Float32Array(vocabularySize);
  if ((state >>> 0) % nanPeriod === 0) return logits.fill(NaN);
  for (let id = 0; id < vocabularySize; id++) logits[id] = (mix(state, id) >> 8) / 2 ** 21;
  logits[END_ID] += END_LOGIT_SHIFT;
  return logits;
}

/** States of one sequence, computed without pages: what the engine's answers are compared with. */
export class TokenChain {
  readonly #format: KvFormat;
  /** State at the start of the page that is open. */
  #pageStart: number;
  #state: number;
  #openEntries: number[] = [];
  #numTokens = 0;

  constructor(format: KvFormat) {
    this.#format = format;
    this.#state = this.#pageStart = firstState(format);
  }

  /** Adds a token. @returns the state at its position */
  push(token: number): number {
    const { numSinkTokens, pageSize } = this.#format;
    if (this.#openEntries.length === pageSize) this.#seal();
    const entry = mix(this.#state, token);
    this.#state = mix(this.#state, entry);
    if (this.#numTokens < numSinkTokens) this.#pageStart = this.#state;
    else this.#openEntries.push(entry);
    this.#numTokens++;
    return this.#state;
  }

  #seal(): void {
    const sealed = this.#openEntries.map((entry) => sealedEntry(entry, this.#format));
    this.#state = this.#pageStart = sealed.reduce(mix, this.#pageStart);
    this.#openEntries = [];
  }
}
