/**
 * Fairness between tenants by virtual token counters (VTC): "Fairness in Serving Large Language Models", Sheng et al.,
 * OSDI '24, arXiv 2401.00588, algorithm 2. Each tenant has a counter of the service that it got; of the tenants that
 * wait, the one that got least goes first. While two tenants both have requests waiting, their service differs by at
 * most 2 max(w_p L, w_q M), where L is the longest prompt and M the most tokens that the running requests hold.
 *
 * The functions are pure. How the loop uses them:
 * 1. A request arrives of a tenant that has none waiting: `lift`.
 * 2. A request is admitted: `charge` its prompt at once, as the paper does, and order the queue anew. A tenant would
 *    otherwise get all places that are free before its counter says so. What a preempted request computes again is not
 *    charged again: its tenant did not ask for that.
 * 3. A step ends: `chargeAll` for the tokens that it gave to each sequence.
 * 4. A tenant has nothing waiting or running any more: `forget`.
 */

/** Service that each tenant got, in weighted tokens. A tenant that is not in it has got none. */
export type TenantCounters = ReadonlyMap<string, number>;

/** Tokens that a tenant was served. */
export interface ServedTokens {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Weights of the paper's evaluation: a generated token takes a step of its own, prompt tokens share one. */
export const INPUT_TOKEN_WEIGHT = 1;
export const OUTPUT_TOKEN_WEIGHT = 2;

/** Tenants without requests whose counters are remembered. */
export const MAX_IDLE_TENANTS = 1024;

/** Weighted tokens: what `charge` adds for them. */
export function serviceOf({ inputTokens, outputTokens }: ServedTokens): number {
  return INPUT_TOKEN_WEIGHT * inputTokens + OUTPUT_TOKEN_WEIGHT * outputTokens;
}

/** Service that a tenant got. */
export function counterOf(counters: TenantCounters, tenant: string): number {
  return counters.get(tenant) ?? 0;
}

/** Counts what a tenant was served. Copies the map: for a whole step take `chargeAll`. */
export function charge(counters: TenantCounters, tenant: string, served: ServedTokens): TenantCounters {
  return chargeAll(counters, [{ tenant, ...served }]);
}

/** Counts what a step served, with one copy of the map. A tenant may come several times. */
export function chargeAll(
  counters: TenantCounters,
  charges: readonly ({ readonly tenant: string } & ServedTokens)[],
): TenantCounters {
  const charged = new Map(counters);
  for (const served of charges) {
    const service = serviceOf(served);
    if (!(service >= 0 && service < Infinity)) throw new RangeError(`a charge of ${service} weighted tokens`);
    charged.set(served.tenant, counterOf(charged, served.tenant) + service);
  }
  return charged;
}

/**
 * Raises the counter of a tenant that had nothing waiting and gets a request now, so that it cannot save up service while
 * it asks for none: to the least of the active tenants' counters. A counter that is higher stays.
 *
 * @param activeTenants those with requests waiting (the tenant itself is left out); where nobody has any, the one whose
 *   request left the queue last; none if there was none since the engine was last idle
 */
export function lift(counters: TenantCounters, tenant: string, activeTenants: Iterable<string>): TenantCounters {
  const least = leastCounter(counters, without(activeTenants, tenant));
  if (least === undefined || counterOf(counters, tenant) >= least) return counters;
  return new Map(counters).set(tenant, least);
}

/**
 * Drops counters that are of no use any more, so that the map does not grow with every tenant that ever was:
 * - with no active tenant, all: fairness is between those who wait at the same time, and they start equal again
 * - those of idle tenants that are at most the least active counter: `lift` would give them the same or more
 * - of the other idle ones, which got more than somebody who still waits, the lowest beyond `maxIdle`: they may get too
 *   much when they come back, by no more than they had beyond the least
 *
 * @param activeTenants those with requests waiting or running, and the one whose request left the queue last
 */
export function forget(
  counters: TenantCounters,
  activeTenants: Iterable<string>,
  maxIdle: number = MAX_IDLE_TENANTS,
): TenantCounters {
  const active = new Set(activeTenants);
  const least = leastCounter(counters, active);
  if (least === undefined) return counters.size === 0 ? counters : new Map();
  const idle = [...counters].filter(([tenant, counter]) => !active.has(tenant) && counter > least);
  const kept = idle.sort(([, a], [, b]) => b - a).slice(0, maxIdle);
  const remembered = new Set([...active, ...kept.map(([tenant]) => tenant)]);
  const dropped = [...counters.keys()].filter((tenant) => !remembered.has(tenant));
  return dropped.length === 0 ? counters : new Map([...counters].filter(([tenant]) => remembered.has(tenant)));
}

function leastCounter(counters: TenantCounters, tenants: Iterable<string>): number | undefined {
  let least: number | undefined;
  for (const tenant of tenants) least = Math.min(least ?? Infinity, counterOf(counters, tenant));
  return least;
}

function without(tenants: Iterable<string>, tenant: string): string[] {
  return [...tenants].filter((other) => other !== tenant);
}
