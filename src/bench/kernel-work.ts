/** What a stretch of kernel work amounts to. */
export interface KernelWork {
  /** Multiplications, each with an addition. */
  readonly macs: number;
  /** Of pages or weights, each byte counted once. */
  readonly bytes: number;
}

/** How long the fastest of many repetitions took. */
export interface TimingOptions {
  readonly budgetMs: number;
  /** Milliseconds of a clock that never runs back. */
  readonly now: () => number;
  /** A turn of the event loop, in which signals arrive. */
  readonly yieldToEvents: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** V8 optimizes what has run a few times. */
const NUM_WARM_UPS = 3;

/**
 * Repeats the work until the budget is spent.
 *
 * @param work may tell how long it took by another clock, such as a device's
 * @returns milliseconds of the fastest repetition
 * @throws the signal's reason if it aborts
 */
export async function fastestMs(
  work: () => Promise<number | undefined>,
  { budgetMs, now, yieldToEvents, signal }: TimingOptions,
): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  const endMs = now() + budgetMs;
  for (let run = 0; run <= NUM_WARM_UPS || now() < endMs; run++) {
    const startMs = now();
    const workMs = await work();
    if (run >= NUM_WARM_UPS) best = Math.min(best, workMs ?? now() - startMs);
    await yieldToEvents();
    signal.throwIfAborted();
  }
  return best;
}
