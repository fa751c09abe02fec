import { counterOf, type TenantCounters } from './fairness.ts';

/** Who is how important: the higher priority, then the earlier arrival, then the lower id. */
export interface Rank {
  readonly id: number;
  readonly arrival: number;
  /** The same for all where the policy is first come, first served. */
  readonly priority: number;
}

/** What a running sequence holds of the page memory. */
export interface RunningPages extends Rank {
  readonly tenant: string;
  /** Units that are free, or can be evicted, once it is preempted: pages that others use too do not count. */
  readonly numUnits: number;
  /** False where it could not go on afterwards, or is in the step that is being made already. */
  readonly isPreemptible: boolean;
}

/**
 * Chooses who gives its pages up when a step needs pages and nothing can be evicted: of those that the needing sequence
 * outranks (lower priority, or the same and later arrival) the one of lowest priority, then of the tenant that got the
 * most service, then the latest. If it outranks nobody who holds pages, but others outrank it, it gives up its own.
 *
 * There is always progress: nobody who holds pages loses them to one of lower rank, so the highest ranked sequence (of
 * the highest priority the oldest) is never chosen, and gets what it needs as long as anybody else holds units. Rank is a
 * strict order that does not change while a request lives, so two sequences cannot preempt each other by turns: the
 * higher ranked one ends some day, and then the next is the highest.
 *
 * @param needing a running sequence that cannot go on without pages
 * @param counters of `fairness.ts`; nobody got any service if absent
 * @returns `needing.id` if it has to wait itself; undefined if nobody can give anything up: then it waits for those who
 *   cannot be preempted, and if there are none, it can never fit
 */
export function chooseVictim(
  running: readonly RunningPages[],
  needing: Rank,
  counters: TenantCounters = new Map(),
): number | undefined {
  const others = running.filter(({ id, numUnits }) => id !== needing.id && numUnits > 0);
  const outranked = others.filter((other) => other.isPreemptible && outranks(needing, other));
  const [victim] = outranked.sort((a, b) => compareVictims(a, b, counters));
  if (victim) return victim.id;
  const own = running.find(({ id }) => id === needing.id);
  const mustYield = own?.isPreemptible && others.some((other) => outranks(other, needing));
  return mustYield ? needing.id : undefined;
}

/** Whether `a` may take pages of `b`. A strict order of all requests. */
export function outranks(a: Rank, b: Rank): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  if (a.arrival !== b.arrival) return a.arrival < b.arrival;
  return a.id < b.id;
}

/** Below 0 if `a` goes before `b`. */
function compareVictims(a: RunningPages, b: RunningPages, counters: TenantCounters): number {
  const byService = counterOf(counters, b.tenant) - counterOf(counters, a.tenant);
  return a.priority - b.priority || byService || b.arrival - a.arrival || b.id - a.id;
}
