import { createHash, timingSafeEqual } from 'node:crypto';

/** Whose request it is. */
export interface Tenant {
  /** What the engine keeps prefix caches, quotas and turns apart by. Not to be told anybody. */
  readonly id: string;
  /** For logs: which of the keys, from 1 on; 0 where none is needed. */
  readonly number: number;
}

/** Of a server without keys. */
export const ONLY_TENANT: Tenant = { id: 'default', number: 0 };

/** The keys of a server, each of which is a tenant. Only their hashes are kept. */
export class Tenants {
  readonly #hashes: readonly Buffer[];

  constructor(keys: readonly string[]) {
    this.#hashes = keys.map(hash);
  }

  get size(): number {
    return this.#hashes.length;
  }

  /** The tenant of a key; undefined if it is none. Takes as long for every key of a length: all hashes are compared, each as a whole. */
  find(key: string): Tenant | undefined {
    const given = hash(key);
    let found: number | undefined;
    for (const [index, own] of this.#hashes.entries()) {
      if (timingSafeEqual(own, given)) found = index;
    }
    return found === undefined ? undefined : { id: given.toString('hex'), number: found + 1 };
  }
}

function hash(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
