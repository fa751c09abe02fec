export interface StepLoopParts {
  /** Whether there is anything to do. */
  hasWork(): boolean;
  /** Whether steps are of no use any more. */
  hasEnded(): boolean;
  runStep(): Promise<void>;
  /** A step has failed. */
  onFailure(cause: unknown): void;
  /** Lets other events of the thread happen; awaited between steps. */
  yieldToEvents(): Promise<void>;
}

/** Runs steps by itself as long as there is anything to do, and none otherwise. */
export class StepLoop {
  readonly #parts: StepLoopParts;
  #loop: Promise<void> | undefined;
  #isInStep = false;
  /** What waits for the end of the step under way. */
  readonly #deferred: (() => void)[] = [];

  constructor(parts: StepLoopParts) {
    this.#parts = parts;
  }

  /** There is something to do. */
  wake(): void {
    // Begins in a turn of its own, when `#loop` is set: whoever wakes it during that starts no second loop.
    this.#loop ??= Promise.resolve()
      .then(() => this.#runSteps())
      .finally(() => {
        this.#loop = undefined;
        if (this.#parts.hasWork()) this.wake();
      });
  }

  /** Kernels read and write pages during a step: none may move, and none may get new bytes. Between steps the task is done at once. */
  afterStep(task: () => void): void {
    if (this.#isInStep) this.#deferred.push(task);
    else task();
  }

  /** Until the loop has come to its end, the step under way included. */
  async ended(): Promise<void> {
    await this.#loop;
  }

  async #runSteps(): Promise<void> {
    try {
      while (this.#parts.hasWork()) {
        await this.#parts.yieldToEvents();
        if (this.#parts.hasEnded()) continue;
        this.#isInStep = true;
        await this.#parts.runStep();
        this.#endStep();
      }
    } catch (cause) {
      this.#parts.onFailure(cause);
    } finally {
      this.#endStep();
    }
  }

  #endStep(): void {
    this.#isInStep = false;
    for (const task of this.#deferred.splice(0)) task();
  }
}
