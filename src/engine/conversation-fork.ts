import type { SequencePages } from '../cache/sequence-pages.ts';
import type { ConversationCache } from './conversation-cache.ts';
import type { KvMemory } from './kv-memory.ts';
import type { KvSequence } from './kv-sequence.ts';
import type { PageSupply } from './page-supply.ts';

export interface ForkParts {
  readonly memory: KvMemory;
  readonly conversations: ConversationCache;
  readonly supply: PageSupply;
  /** Most units of one tenant's pages; no limit where absent. */
  readonly tenantQuotaUnits?: number | undefined;
  /** Pages of a tenant's running sequences. */
  readonly pagesRunning: (tenant: string) => Iterable<SequencePages>;
}

/** Makes a conversation begin as another one, if that has pages and there is room for a copy of its open page. Between steps. */
export function forkConversation(parts: ForkParts, from: number, to: number): void {
  const { memory, conversations } = parts;
  const cached = conversations.get(from);
  if (!cached || !hasRoomForFork(parts, cached.kv)) return;
  // Making room may have let go what was to be forked.
  if (conversations.get(from) !== cached) return;
  conversations.keep(to, cached.tokens, memory.fork(cached.kv), memory.tree.tick());
}

function hasRoomForFork(
  { supply, pagesRunning, tenantQuotaUnits = Infinity }: ForkParts,
  { cache, chain }: KvSequence,
): boolean {
  const numUnits = cache.shape.openUnits + cache.shape.sinkUnits;
  const { tenant } = chain.chain;
  return supply.limitTenant(tenant, tenantQuotaUnits - numUnits, pagesRunning(tenant)) && supply.makeRoom(numUnits);
}
