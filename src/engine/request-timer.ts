import type { Timings } from './types.ts';

const MS_PER_SECOND = 1000;

/** The moments of one request, in milliseconds of the clock that is passed in. */
export class RequestTimer {
  readonly #now: () => number;
  readonly #submittedAt: number;
  #startedAt: number | undefined;
  #promptComputedAt: number | undefined;
  #firstTokenAt: number | undefined;
  #lastTokenAt: number | undefined;

  /** @param now for instance `performance.now` */
  constructor(now: () => number) {
    this.#now = now;
    this.#submittedAt = now();
  }

  /** The first step that computes something for the request begins. */
  start(): void {
    this.#startedAt ??= this.#now();
  }

  promptComputed(): void {
    this.#promptComputedAt ??= this.#now();
  }

  token(): void {
    this.#lastTokenAt = this.#now();
    this.#firstTokenAt ??= this.#lastTokenAt;
  }

  /**
   * @param numComputed prompt tokens that were computed, not found in the cache
   * @param numCompletion tokens that were generated
   */
  timings(loadMs: number, numComputed: number, numCompletion: number): Timings {
    const firstAt = this.#firstTokenAt ?? this.#promptComputedAt ?? this.#now();
    return {
      loadMs,
      ttftMs: firstAt - this.#submittedAt,
      prefillTps: perSecond(numComputed, this.#startedAt, this.#promptComputedAt),
      decodeTps: perSecond(numCompletion - 1, this.#firstTokenAt, this.#lastTokenAt),
    };
  }
}

/** Undefined where nothing was done, or in no time. */
function perSecond(count: number, from: number | undefined, to: number | undefined): number | undefined {
  if (count < 1 || from === undefined || to === undefined || to <= from) return undefined;
  return (count * MS_PER_SECOND) / (to - from);
}
