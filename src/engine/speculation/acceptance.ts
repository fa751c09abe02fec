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

const DECAY = 0.95;
/** Lengths at which kinds of matches begin, and shares of them that are right in text that is not copied. */
const MATCHES = [
  { from: 2, expected: 0.2 },
  { from: 3, expected: 0.4 },
  { from: 4, expected: 0.5 },
  { from: 5, expected: 0.6 },
  { from: 6, expected: 0.7 },
  { from: 8, expected: 0.8 },
  { from: 12, expected: 0.88 },
  { from: 24, expected: 0.93 },
];
const RESUMED = [
  { from: 0, expected: 0.3 },
  { from: 1, expected: 0.5 },
  { from: 2, expected: 0.7 },
  { from: 4, expected: 0.85 },
];
const EXPECTED_WEIGHT = 6;

/**
 * Chances of what prompt lookup guesses, by the length of the match. A guess and its outcome cost nothing there, so they are counted
 * whether it was computed or not.
 */
export class MatchAcceptance {
  readonly #matches = MATCHES.map(({ expected }) => new Acceptance(expected, EXPECTED_WEIGHT, DECAY));
  readonly #resumed = RESUMED.map(({ expected }) => new Acceptance(expected, EXPECTED_WEIGHT, DECAY));

  learn(evidence: Evidence, isRight: boolean): void {
    this.#kind(evidence).learn(isRight);
  }

  /** @param index of the guess among those made at once; those before it are taken to be right */
  chance({ numMatched, isResumed }: Evidence, index: number): number {
    return this.#kind({ numMatched: numMatched + index, isResumed }).chance;
  }

  #kind({ numMatched, isResumed }: Evidence): Acceptance {
    const kinds = isResumed ? RESUMED : MATCHES;
    const index = kinds.findLastIndex(({ from }) => numMatched >= from);
    return (isResumed ? this.#resumed : this.#matches)[Math.max(index, 0)];
  }
}
