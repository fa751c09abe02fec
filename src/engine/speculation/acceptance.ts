import type { Evidence } from './prompt-lookup.ts';

/** How often guesses of one kind turn out right: counted, older ones for less, on top of what is expected at first. */
export class Acceptance {
  readonly #decay: number;
  #right: number;
  #all: number;

  /**
   * @param expected share that is right, before anything was seen
   * @param weight of that, in guesses
   * @param decay weight that a guess keeps when another one comes
   */
  constructor(expected: number, weight: number, decay: number) {
    this.#right = expected * weight;
    this.#all = weight;
    this.#decay = decay;
  }

  /** Chance that the next guess is right. */
  get chance(): number {
    return this.#right / this.#all;
  }

  learn(isRight: boolean): void {
    this.#right = this.#right * this.#decay + (isRight ? 1 : 0);
    this.#all = this.#all * this.#decay + 1;
  }
}

/** A kind of guesses: matches from some length on. */
interface Kind {
  readonly from: number;
  /** Share of them that is right before anything was seen. */
  readonly expected: number;
}

/**
 * Short matches are chance in prose (a tenth of those of two tokens is right) and a copy that begins in a text of copies; what shares are right
 * differs by text, so that each length is counted by itself. From some tokens on it is a copy, whose next token is right as often whatever its length.
 */
const MATCHES: readonly Kind[] = [
  { from: 2, expected: 0.2 },
  { from: 3, expected: 0.45 },
  { from: 4, expected: 0.7 },
];
const COPY: Kind = { from: 6, expected: 0.9 };
/** Places where a copy may go on after a difference: without an equal token, with one, and then as any copy. */
const RESUMED: readonly Kind[] = [
  { from: 0, expected: 0.1 },
  { from: 1, expected: 0.5 },
];
const RESUMED_COPY_FROM = 2;
const EXPECTED_WEIGHT = 4;
const DECAY = 0.96;

/**
 * Chances of what prompt lookup guesses, by the length of the match. A guess and its outcome cost nothing there, so they are counted
 * whether it was computed or not.
 */
export class MatchAcceptance {
  readonly #matches = MATCHES.map(newAcceptance);
  readonly #resumed = RESUMED.map(newAcceptance);
  readonly #copy = newAcceptance(COPY);

  learn(evidence: Evidence, isRight: boolean): void {
    this.#kind(evidence).learn(isRight);
  }

  /** @param index of the guess among those made at once; those before it are taken to be right */
  chance({ numMatched, isResumed }: Evidence, index: number): number {
    return this.#kind({ numMatched: numMatched + index, isResumed }).chance;
  }

  #kind({ numMatched, isResumed }: Evidence): Acceptance {
    if (numMatched >= (isResumed ? RESUMED_COPY_FROM : COPY.from)) return this.#copy;
    const kinds = isResumed ? RESUMED : MATCHES;
    const index = kinds.findLastIndex(({ from }) => numMatched >= from);
    return (isResumed ? this.#resumed : this.#matches)[Math.max(index, 0)];
  }
}

function newAcceptance({ expected }: Kind): Acceptance {
  return new Acceptance(expected, EXPECTED_WEIGHT, DECAY);
}
