import type { EngineCounts } from './stats-types.ts';

/** Tenants whose counts are remembered. */
export const MAX_COUNTED_TENANTS = 1024;

type MutableCounts = { -readonly [Name in keyof EngineCounts]: EngineCounts[Name] };

/** What an engine has done, for everybody and for each tenant. Sums only grow; those of the tenant that was counted least recently are dropped where there are too many. */
export class EngineCounters {
  readonly #total = zeroCounts();
  /** A map remembers the order in which its keys were set. */
  readonly #tenants = new Map<string, MutableCounts>();
  readonly #maxTenants: number;

  constructor(maxTenants: number = MAX_COUNTED_TENANTS) {
    this.#maxTenants = maxTenants;
  }

  add(tenant: string, counts: Partial<EngineCounts>): void {
    addTo(this.#total, counts);
    addTo(this.#countsOf(tenant), counts);
  }

  /** Of one tenant, or of all that ever were. */
  get(tenant?: string): EngineCounts {
    return { ...(tenant === undefined ? this.#total : (this.#tenants.get(tenant) ?? zeroCounts())) };
  }

  #countsOf(tenant: string): MutableCounts {
    const counts = this.#tenants.get(tenant) ?? zeroCounts();
    this.#tenants.delete(tenant);
    this.#tenants.set(tenant, counts);
    for (const oldest of this.#tenants.keys()) {
      if (this.#tenants.size <= this.#maxTenants) break;
      this.#tenants.delete(oldest);
    }
    return counts;
  }
}

function zeroCounts(): MutableCounts {
  return {
    queriedTokens: 0,
    hitTokens: 0,
    generatedTokens: 0,
    preemptions: 0,
    drafts: 0,
    draftedTokens: 0,
    acceptedTokens: 0,
    endedRequests: 0,
  };
}

function addTo(sums: MutableCounts, counts: Partial<EngineCounts>): void {
  for (const name of Object.keys(sums) as (keyof EngineCounts)[]) sums[name] += counts[name] ?? 0;
}
