import { createHash, timingSafeEqual } from 'node:crypto';

/** Whose request it is. */
export interface Tenant {
  /** What the engine keeps prefix caches, quotas and turns apart by. Not to be told anybody. */
  readonly id: string;
  /** For logs: which of the keys, from 1 on; 0 where none is needed, or for the key of metrics. */
  readonly number: number;
  /** Whether it may use the model. */
  readonly mayUseModel: boolean;
  /** Metrics are of all tenants together. */
  readonly mayReadMetrics: boolean;
}

/** Of a server without keys. */
export const ONLY_TENANT: Tenant = { id: 'default', number: 0, mayUseModel: true, mayReadMetrics: true };

interface Key {
  readonly hash: Buffer;
  readonly tenant: Tenant;
}

/** The keys of a server, each of which is a tenant. Only their hashes are kept. */
export class Tenants {
  readonly #keys: readonly Key[];

  /** @param metricsKey opens nothing but metrics; without one, an only key opens them, too */
  constructor(apiKeys: readonly string[], metricsKey?: string) {
    const mayReadMetrics = metricsKey === undefined && apiKeys.length === 1;
    const own = apiKeys.map((key, index) => toKey(key, { number: index + 1, mayUseModel: true, mayReadMetrics }));
    const metrics =
      metricsKey === undefined ? [] : [toKey(metricsKey, { number: 0, mayUseModel: false, mayReadMetrics: true })];
    this.#keys = [...own, ...metrics];
  }

  get size(): number {
    return this.#keys.length;
  }

  /** The tenant of a key; undefined if it is none. Takes as long for every key of a length: all hashes are compared, each as a whole. */
  find(key: string): Tenant | undefined {
    const given = hash(key);
    let found: Tenant | undefined;
    for (const { hash: own, tenant } of this.#keys) {
      if (timingSafeEqual(own, given)) found = tenant;
    }
    return found;
  }
}

function toKey(key: string, rights: Omit<Tenant, 'id'>): Key {
  const keyHash = hash(key);
  return { hash: keyHash, tenant: { id: keyHash.toString('hex'), ...rights } };
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
