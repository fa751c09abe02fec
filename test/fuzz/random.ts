import { uniformStream } from '../random-data.ts';

/** Choices that follow from a seed, so that what went wrong can be done again. */
export class Random {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = uniformStream(seed);
  }

  /** A whole number from 0 to `end`, which is left out. */
  below(end: number): number {
    return Math.floor(this.#next() * end);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)];
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}
