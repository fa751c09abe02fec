import { RecentTenants } from './recent-tenants.ts';
import type { EngineCounts } from './stats-types.ts';

type MutableCounts = { -readonly [Name in keyof EngineCounts]: EngineCounts[Name] };

/** What an engine has done, for everybody and for each tenant that is remembered. Sums only grow. */
export class EngineCounters {
  readonly #total = zeroCounts();
  readonly #tenants: RecentTenants<MutableCounts>;

  /** @param maxTenants that are remembered; see RecentTenants */
  constructor(maxTenants?: number) {
    this.#tenants = new RecentTenants(zeroCounts, maxTenants);
  }

  add(tenant: string, counts: Partial<EngineCounts>): void {
    addTo(this.#total, counts);
    addTo(this.#tenants.get(tenant), counts);
  }

  /** Of one tenant, or of all that ever were. */
  get(tenant?: string): EngineCounts {
    return { ...(tenant === undefined ? this.#total : (this.#tenants.find(tenant) ?? zeroCounts())) };
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
