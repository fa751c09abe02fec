/** What somebody waits at most, about, who comes while such a step is under way. */
const MAX_STEP_MS = 50;
const FIRST_STEP_TOKENS = 4;
const MAX_STEP_TOKENS = 32;

/** How many tokens a step may have so that nobody waits long for its end: fewer after one that took long, more after a short one. */
export class StepPace {
  readonly #mostTokens: number;
  #numTokens: number;

  /** @param mostTokens that kernels take */
  constructor(mostTokens: number) {
    this.#mostTokens = Math.min(mostTokens, MAX_STEP_TOKENS);
    this.#numTokens = Math.min(this.#mostTokens, FIRST_STEP_TOKENS);
  }

  get numTokens(): number {
    return this.#numTokens;
  }

  /** What the step took. */
  observe(ms: number): void {
    if (ms > MAX_STEP_MS) this.#numTokens = Math.max(1, Math.floor(this.#numTokens / 2));
    else if (ms < MAX_STEP_MS / 2) this.#numTokens = Math.min(this.#mostTokens, this.#numTokens * 2);
  }
}
