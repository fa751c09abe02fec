import { numTokensIn, type PageGeometry } from '../../cache/sequence-pages.ts';
import { SAMPLING_DEFAULTS, type ResolvedSampling } from '../../engine/defaults.ts';
import { probeTokens } from '../../engine/probe-text.ts';
import type { Tokenizer } from '../../tokens/tokenizer.ts';

/** Tokens that are there for others, behind the text's own. */
const NUM_OTHER_TOKENS = 2048;
/** How far apart others begin: no multiple of a page, prime to the number of places. */
const OTHER_STRIDE = 97;
/** Rows that are compared at most, so that a baseline's fit into memory: 512 rows of 150,000 logits are 300 MB. */
const MOST_ROWS = 512;

export const GREEDY: ResolvedSampling = { ...SAMPLING_DEFAULTS, seed: 0 };
export const SAMPLED: ResolvedSampling = { ...SAMPLING_DEFAULTS, temperature: 1, seed: 7 };

/** The prompt that every condition runs, and different ones that run beside it or go on in another way. */
export class ExactText {
  readonly tokens: readonly number[];
  /** Tokens that are generated after it. */
  readonly numGenerated = 16;
  readonly #stream: readonly number[];
  readonly #everyRow: number;

  constructor(tokenizer: Parameters<typeof probeTokens>[0] & Pick<Tokenizer, 'vocabularySize'>, numTokens: number) {
    this.#stream = probeTokens(tokenizer, numTokens + NUM_OTHER_TOKENS).tokens;
    this.tokens = this.#stream.slice(0, numTokens);
    this.#everyRow = Math.ceil(numTokens / MOST_ROWS);
  }

  get length(): number {
    return this.tokens.length;
  }

  /** Tokens that an engine's context has to hold. */
  get ctx(): number {
    return this.length + 4 * this.numGenerated;
  }

  /** Another prompt, of at most 1,024 tokens. */
  other(index: number, length: number): number[] {
    const places = NUM_OTHER_TOKENS / 2;
    const start = this.length + ((index * OTHER_STRIDE) % places);
    return this.#stream.slice(start, start + length);
  }

  /** A prompt that shares exactly its first `numShared` tokens with this one. */
  goOn(numShared: number, numOwn: number, index = 0): number[] {
    const own = this.other(index, numOwn + places(numOwn));
    const start = own.findIndex((token) => token !== this.tokens[numShared]);
    return [...this.tokens.slice(0, numShared), ...own.slice(start, start + numOwn)];
  }

  /** Positions of a prompt of `length` tokens whose logits are compared. */
  positions(length: number, from = 0): number[] {
    const all = Array.from({ length }, (_, position) => position);
    return all.filter((position) => position >= from && (position % this.#everyRow === 0 || position === length - 1));
  }

  /** Tokens up to the end of each page that the text fills, with at least two tokens after it. */
  pageEnds(geometry: PageGeometry): number[] {
    const ends: number[] = [];
    for (let end = numTokensIn(geometry, 1); end <= this.length - 2; end = numTokensIn(geometry, ends.length + 1)) {
      ends.push(end);
    }
    return ends;
  }
}

/** More tokens to choose a beginning from, in case the first ones are those that it must not begin with. */
function places(numOwn: number): number {
  return Math.max(8, numOwn);
}
