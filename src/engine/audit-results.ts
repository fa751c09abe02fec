import { RecentTenants } from './recent-tenants.ts';
import { MAX_RECENT_AUDITS, type AuditStats } from './stats-types.ts';

class Results {
  #count = 0;
  #sum = 0;
  #skipped = 0;
  readonly #recent: number[] = [];

  add(kld: number): void {
    this.#count++;
    this.#sum += kld;
    this.#recent.push(kld);
    if (this.#recent.length > MAX_RECENT_AUDITS) this.#recent.shift();
  }

  skip(): void {
    this.#skipped++;
  }

  stats(every: number): AuditStats {
    return {
      every,
      count: this.#count,
      meanKld: this.#count === 0 ? undefined : this.#sum / this.#count,
      lastKld: this.#recent.at(-1),
      skipped: this.#skipped,
      recentKlds: [...this.#recent],
    };
  }
}

/** What audits have found, for everybody and for each tenant that is remembered. */
export class AuditResults {
  readonly #total = new Results();
  readonly #tenants = new RecentTenants(() => new Results());

  add(tenant: string, kld: number): void {
    for (const results of [this.#total, this.#tenants.get(tenant)]) results.add(kld);
  }

  skip(tenant: string): void {
    for (const results of [this.#total, this.#tenants.get(tenant)]) results.skip();
  }

  /** Of one tenant, or of all that ever were. @param every of how many requests one is audited */
  stats(every: number, tenant?: string): AuditStats {
    const results = tenant === undefined ? this.#total : this.#tenants.find(tenant);
    return (results ?? new Results()).stats(every);
  }
}
