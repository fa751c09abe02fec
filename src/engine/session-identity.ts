import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import type { KvpIdentity } from '../sessions/kvp-header.ts';
import { PAGE_LAYOUT_VERSION } from './cache-identity.ts';
import type { KvCache } from './kv-memory.ts';

/** The model behind pages, for files. */
export type SessionModel = Pick<KvpIdentity, 'modelName' | 'modelFingerprint'>;

/** What a file must agree with for its pages to be those of a cache. */
export function sessionIdentity({ format, shape, root }: KvCache, model: SessionModel): KvpIdentity {
  return {
    ...model,
    identity: root,
    kvFormat: format.name,
    layoutVersion: PAGE_LAYOUT_VERSION,
    pageSize: shape.pageSize,
    numSinkTokens: shape.numSinkTokens,
    sealedPageBytes: shape.sealedUnits * PAGE_UNIT_BYTES,
    sinkPageBytes: shape.sinkUnits * PAGE_UNIT_BYTES,
  };
}
