/** Whether a waiting sequence may start. All in units of the page arena. */

/** What a sequence takes when it starts. */
export interface AdmissionNeed {
  /**
   * For its prompt: the pages beyond those that it finds in the cache, its open page and its sink page. What it found
   * and nobody else uses is not evictable any more, and must not be counted as such.
   */
  readonly units: number;
}

export interface AdmissionCapacity {
  readonly freeUnits: number;
  /** Of cached pages that nobody uses. */
  readonly evictableUnits: number;
  /**
   * What running sequences will take soon: the rest of their prompts, and a page each that decodes. Small, and a step
   * soon lacks pages and preempts somebody; large, and memory lies idle. 0 where nobody runs.
   */
  readonly growthUnits: number;
}

/**
 * Decides whether a waiting sequence may start: what it needs has to be there beside what running sequences are about
 * to take, so that whoever was just preempted does not come back to be preempted again. Where nobody runs there is no
 * growth, and everything that fits at all is admitted.
 */
export function planAdmission({ units }: AdmissionNeed, capacity: AdmissionCapacity): boolean {
  const { freeUnits, evictableUnits, growthUnits } = capacity;
  return units <= freeUnits + evictableUnits - growthUnits;
}
