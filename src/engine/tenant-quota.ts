/** What a tenant may hold of the page memory. All in units of the page arena. */

export interface TenantUnits {
  /** Of all pages that are the tenant's: those of its running sequences and those kept in the cache, each once. */
  readonly heldUnits: number;
  /** Of those, in cached pages that nobody uses, and that the request does not use either. */
  readonly evictableUnits: number;
}

export interface QuotaNeed {
  /** What the request takes beyond pages that it finds in the cache. */
  readonly units: number;
  /** What it would take with nothing in the cache. */
  readonly unitsAlone: number;
}

/** What to do with a request because of its tenant's quota. */
export type QuotaDecision =
  /** It may start once the tenant's own cached pages of as many units are gone. */
  | { readonly kind: 'admit'; readonly evictUnits: number }
  /** It may start when other requests of the tenant have ended. */
  | { readonly kind: 'wait' }
  /** It can never fit. */
  | { readonly kind: 'refuse' };

/**
 * Holds a tenant to its quota. A tenant that has nothing running never waits: if it holds nothing but cached pages, then
 * what remains of them beside the request's own fits or can be evicted, as `unitsAlone` fits.
 *
 * @param quotaUnits undefined for a tenant without a quota
 */
export function withinQuota(tenant: TenantUnits, need: QuotaNeed, quotaUnits: number | undefined): QuotaDecision {
  if (quotaUnits === undefined) return { kind: 'admit', evictUnits: 0 };
  if (need.unitsAlone > quotaUnits) return { kind: 'refuse' };
  const evictUnits = Math.max(0, tenant.heldUnits + need.units - quotaUnits);
  return evictUnits <= tenant.evictableUnits ? { kind: 'admit', evictUnits } : { kind: 'wait' };
}
