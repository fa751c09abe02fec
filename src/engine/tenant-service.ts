import { chargeAll, forget, lift, type TenantCounters } from './fairness.ts';

/** Counts what an engine serves to each tenant, as fairness.ts says. */
export class TenantService {
  #counters: TenantCounters = new Map();
  /** The tenant whose request left the queue last since nothing was under way. */
  #lastAdmitted: string | undefined;

  get counters(): TenantCounters {
    return this.#counters;
  }

  /** A request has come. @param waiting tenants of those that wait already */
  arrived(tenant: string, waiting: readonly string[]): void {
    if (waiting.includes(tenant)) return;
    const last = this.#lastAdmitted === undefined ? [] : [this.#lastAdmitted];
    this.#counters = lift(this.#counters, tenant, waiting.length > 0 ? waiting : last);
  }

  /** A request starts for the first time. */
  admitted(tenant: string, inputTokens: number): void {
    this.#counters = chargeAll(this.#counters, [{ tenant, inputTokens, outputTokens: 0 }]);
    this.#lastAdmitted = tenant;
  }

  /** A step has given a token to a sequence of each of these. */
  served(tenants: readonly string[]): void {
    if (tenants.length === 0) return;
    const charges = tenants.map((tenant) => ({ tenant, inputTokens: 0, outputTokens: 1 }));
    this.#counters = chargeAll(this.#counters, charges);
  }

  /** A request has ended. @param active tenants of those that wait or run */
  ended(active: readonly string[]): void {
    if (active.length === 0) this.#lastAdmitted = undefined;
    const last = this.#lastAdmitted === undefined ? [] : [this.#lastAdmitted];
    this.#counters = forget(this.#counters, [...active, ...last]);
  }
}
