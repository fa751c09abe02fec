/** Tenants that are remembered. */
const MAX_TENANTS = 1024;

/** Something for each tenant; that of the tenant which was asked for least recently is forgotten where there are too many. */
export class RecentTenants<T> {
  /** A map remembers the order in which its keys were set. */
  readonly #byTenant = new Map<string, T>();
  readonly #create: () => T;
  readonly #most: number;

  constructor(create: () => T, most: number = MAX_TENANTS) {
    this.#create = create;
    this.#most = most;
  }

  /** A tenant's, if it is remembered. */
  find(tenant: string): T | undefined {
    return this.#byTenant.get(tenant);
  }

  /** A tenant's, which is made where it is missing. */
  get(tenant: string): T {
    const value = this.#byTenant.get(tenant) ?? this.#create();
    this.#byTenant.delete(tenant);
    this.#byTenant.set(tenant, value);
    for (const oldest of this.#byTenant.keys()) {
      if (this.#byTenant.size <= this.#most) break;
      this.#byTenant.delete(oldest);
    }
    return value;
  }
}
