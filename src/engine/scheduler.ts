/**
 * What runs in the next step: pure functions over plain data. A sequence appears here as counts of tokens and pages
 * only.
 */

/** A running sequence: it has tokens that are not computed yet. */
export interface RunningSequence {
  readonly id: number;
  /** Tokens that are known but not computed: the rest of the prompt, or the newest token. */
  readonly numPending: number;
  /** Tokens until its open page is full: no segment goes beyond. */
  readonly numTokensToFull: number;
}

export interface StepLimits {
  /** Most rows (tokens) of a step. */
  readonly maxRows: number;
  /** Most prompt tokens of one sequence in a step. */
  readonly prefillChunk: number;
}

/** The next `numTokens` tokens of a sequence. */
export interface PlannedSegment {
  readonly id: number;
  readonly numTokens: number;
}

/**
 * Chooses the segments of the next step: first every sequence that waits for one token only (decodes), then prompts, in
 * the order given, as far as rows are left. Someone who reads an answer waits less that way than someone whose prompt
 * is long.
 *
 * @returns at most one segment a sequence, together at most `maxRows` tokens; none only if nothing is pending
 */
export function planStep(sequences: readonly RunningSequence[], limits: StepLimits): PlannedSegment[] {
  const { maxRows, prefillChunk } = limits;
  const pending = sequences.filter(({ numPending }) => numPending > 0);
  const decodes = pending.filter(({ numPending }) => numPending === 1);
  const prefills = pending.filter(({ numPending }) => numPending > 1);
  const plan: PlannedSegment[] = [];
  let rowsLeft = maxRows;
  for (const { id, numPending, numTokensToFull } of [...decodes, ...prefills]) {
    const numTokens = Math.min(numPending, numTokensToFull, prefillChunk, rowsLeft);
    if (numTokens === 0) break;
    plan.push({ id, numTokens });
    rowsLeft -= numTokens;
  }
  return plan;
}

/**
 * What a sequence needs before it may start, beyond what it holds already (a conversation that goes on holds pages).
 */
export interface AdmissionNeed {
  readonly openPages: number;
  /** Sealed pages that it fills if it becomes as long as it may. */
  readonly sealedPages: number;
}

export interface AdmissionCapacity {
  readonly freeOpenPages: number;
  /** Free sealed pages that no running sequence may still need. */
  readonly unreservedSealedPages: number;
}

/** Pages that are kept only because they may be of use again: the cache of a conversation that nobody runs. */
export interface EvictableCache {
  readonly id: number;
  readonly openPages: number;
  readonly sealedPages: number;
}

/**
 * Decides whether the sequence at the head of the queue can start. It is given all pages that it may ever need, so that
 * a sequence that has started is never stopped for want of pages.
 *
 * @param evictable in the order in which they should go
 * @returns the caches that have to go first, or undefined if there is not room enough even without all of them
 */
export function planAdmission(
  need: AdmissionNeed,
  capacity: AdmissionCapacity,
  evictable: readonly EvictableCache[],
): number[] | undefined {
  let { freeOpenPages, unreservedSealedPages } = capacity;
  const evicted: number[] = [];
  const candidates = [...evictable];
  while (freeOpenPages < need.openPages || unreservedSealedPages < need.sealedPages) {
    const cache = candidates.shift();
    if (!cache) return undefined;
    freeOpenPages += cache.openPages;
    unreservedSealedPages += cache.sealedPages;
    evicted.push(cache.id);
  }
  return evicted;
}
