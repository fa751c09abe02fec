import type { Drafter } from './drafter.ts';
import { NgramIndex } from './ngram-index.ts';

/** How sure a guess is. */
export interface Evidence {
  /** Tokens before it that are the same at its source. */
  readonly numMatched: number;
  /** Whether it goes on in a text that was being copied until a token differed, with fewer equal tokens than a match needs. */
  readonly isResumed: boolean;
}

/** Told of every token that was guessed, whether anybody asked for the guess or not. */
export type GuessObserver = (evidence: Evidence, isRight: boolean) => void;

/** Fewest equal tokens that make a match. */
const MIN_MATCH = 2;
/** Places that are looked at are those of long n-grams first: a long match may lie farther back than many short ones. */
const NGRAM_LENGTHS = [5, MIN_MATCH];
const MAX_PLACES = 24;
/** Longer matches are all the same. */
const MAX_MATCH = 48;
/** A match of so many tokens is a copy: where a token differs, it goes on behind it. */
const MIN_COPY = 5;
/** Tokens after a difference during which the copied text is not given up. */
const MAX_ASTRAY = 16;
/** Where a copy goes on is looked for so many tokens around the place where it would be had a word been replaced. */
const RESUME_WINDOW = 6;

/** A copy that broke off. */
interface BrokenCopy {
  /** Where it would go on if tokens had been replaced one for one. */
  expected: number;
  numAstray: number;
}

/**
 * Guesses that a text goes on as it did where its last tokens stood before: prompt lookup (github.com/apoorvumang/prompt-lookup-decoding).
 * It takes the place whose tokens before are the same for longest, the newest of equal ones, and stays with it. Where a copied text
 * differs it goes on behind the difference, which a place that needs equal tokens would find only some tokens later.
 *
 * A new token costs O(1), and so does taking one back.
 */
export class PromptLookup implements Drafter {
  readonly #observer: GuessObserver | undefined;
  readonly #tokens: number[] = [];
  #indices = NGRAM_LENGTHS.map((length) => new NgramIndex(length));
  /** Position of the token that is guessed to come next. */
  #source: number | undefined;
  #evidence: Evidence = NO_EVIDENCE;
  #broken: BrokenCopy | undefined;

  /** @param observer told of all tokens that were appended to known ones, so not of a prompt's */
  constructor(observer?: GuessObserver) {
    this.#observer = observer;
  }

  /** How sure the next guess is; undefined where there is none. As of the last `propose` or `follow`. */
  get evidence(): Evidence | undefined {
    return this.#source === undefined ? undefined : this.#evidence;
  }

  /** Takes in what is new of a sequence, without a guess. */
  follow(tokens: readonly number[]): void {
    const isAppended = this.#tokens.length > 0 && !this.#goBack(this.#commonLength(tokens));
    for (let i = this.#tokens.length; i < tokens.length; i++) this.#push(tokens[i], isAppended);
    // Nobody guesses inside of a prompt, so that its places need not be looked for one by one.
    if (!isAppended) this.#settle(this.#longestMatch());
  }

  propose(tokens: readonly number[], maxTokens: number): readonly number[] {
    this.follow(tokens);
    return this.guess(maxTokens);
  }

  /** Tokens that are guessed to follow those of the last call; a guess that reaches the end of the sequence goes on with itself. */
  guess(maxTokens: number): readonly number[] {
    const source = this.#source;
    if (source === undefined) return [];
    const period = this.#tokens.length - source;
    return Array.from({ length: maxTokens }, (_, i) => this.#tokens[source + (i % period)]);
  }

  release(): void {
    this.#tokens.length = 0;
    this.#indices = NGRAM_LENGTHS.map((length) => new NgramIndex(length));
    this.#settle(undefined);
    this.#broken = undefined;
  }

  #push(token: number, isGuessed: boolean): void {
    const source = this.#source;
    const isRight = source !== undefined && this.#tokens[source] === token;
    if (isGuessed && source !== undefined) this.#observer?.(this.#evidence, isRight);
    this.#tokens.push(token);
    for (const index of this.#indices) index.push(this.#tokens);
    if (!isGuessed) return;
    if (source !== undefined && isRight) this.#goOn(source);
    else this.#lookAround(source);
  }

  #goOn(source: number): void {
    const { numMatched, isResumed } = this.#evidence;
    const longer: Match = { source: source + 1, numMatched: Math.min(numMatched + 1, MAX_MATCH) };
    if (isResumed && longer.numMatched < MIN_COPY) return this.#settle(longer, true);
    this.#broken = undefined;
    const other = longer.numMatched < MIN_COPY ? this.#longestMatch() : undefined;
    this.#settle(other && other.numMatched > longer.numMatched ? other : longer);
  }

  /** The guess was wrong, or there was none. */
  #lookAround(source: number | undefined): void {
    const { numMatched, isResumed } = this.#evidence;
    if (source !== undefined && !isResumed && numMatched >= MIN_COPY) this.#broken = { expected: source, numAstray: 0 };
    const match = this.#longestMatch();
    if (match && match.numMatched >= MIN_COPY) {
      this.#broken = undefined;
      return this.#settle(match);
    }
    const resumed = this.#resume();
    if (resumed) this.#settle(resumed, true);
    else this.#settle(match);
  }

  /** Where the copy that broke off goes on: behind the last token, if it stands near there, else after as many tokens as differ. */
  #resume(): Match | undefined {
    const broken = this.#broken;
    if (!broken) return undefined;
    broken.numAstray++;
    broken.expected++;
    if (broken.numAstray > MAX_ASTRAY) {
      this.#broken = undefined;
      return undefined;
    }
    const { expected } = broken;
    for (const near of nearest(expected, RESUME_WINDOW)) {
      const numMatched = near > 0 && near < this.#tokens.length ? this.#matchBefore(near) : 0;
      if (numMatched > 0) return { source: near, numMatched };
    }
    return broken.numAstray === 1 && expected < this.#tokens.length ? { source: expected, numMatched: 0 } : undefined;
  }

  #settle(match: Match | undefined, isResumed = false): void {
    this.#source = match?.source;
    this.#evidence = match ? { numMatched: match.numMatched, isResumed } : NO_EVIDENCE;
  }

  #longestMatch(): Match | undefined {
    let longest: Match | undefined;
    for (const index of this.#indices) {
      let numPlaces = 0;
      for (const end of index.earlier()) {
        const numMatched = this.#matchBefore(end + 1);
        if (numMatched >= MIN_MATCH && numMatched > (longest?.numMatched ?? 0))
          longest = { source: end + 1, numMatched };
        if (longest?.numMatched === MAX_MATCH || ++numPlaces === MAX_PLACES) break;
      }
      if (longest) return longest;
    }
    return undefined;
  }

  /** How many tokens before `position` are those at the end of the sequence. */
  #matchBefore(position: number): number {
    const tokens = this.#tokens;
    const most = Math.min(MAX_MATCH, position);
    let count = 0;
    while (count < most && tokens[position - 1 - count] === tokens[tokens.length - 1 - count]) count++;
    return count;
  }

  /** Length of what is the same as before. Where the newest tokens are the same, the others are taken to be. */
  #commonLength(tokens: readonly number[]): number {
    const known = this.#tokens;
    const length = Math.min(known.length, tokens.length);
    const areSame = (start: number): boolean => {
      for (let i = start; i < length; i++) if (known[i] !== tokens[i]) return false;
      return true;
    };
    if (areSame(Math.max(0, length - MAX_MATCH))) return length;
    const first = known.findIndex((token, i) => token !== tokens[i]);
    return first < 0 ? length : Math.min(first, length);
  }

  /** Whether there was anything to take back. */
  #goBack(length: number): boolean {
    if (length === this.#tokens.length) return false;
    while (this.#tokens.length > length) {
      for (const index of this.#indices) index.pop(this.#tokens);
      this.#tokens.pop();
    }
    this.#broken = undefined;
    return true;
  }
}

interface Match {
  readonly source: number;
  readonly numMatched: number;
}

const NO_EVIDENCE: Evidence = { numMatched: 0, isResumed: false };

/** Numbers around another, the nearest first. */
function* nearest(middle: number, reach: number): Generator<number, undefined> {
  yield middle;
  for (let distance = 1; distance <= reach; distance++) {
    yield middle + distance;
    yield middle - distance;
  }
}
