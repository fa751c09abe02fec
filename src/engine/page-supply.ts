import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import type { SequencePages } from '../cache/sequence-pages.ts';
import type { ConversationCache } from './conversation-cache.ts';
import type { KvMemory } from './kv-memory.ts';

/** Moving as much takes a few milliseconds; rather than more, another page goes that nobody uses. */
const MOST_MOVED_UNITS = 16_000_000 / PAGE_UNIT_BYTES;

/** Frees pages that nobody runs on: those of the prefix tree and of idle conversations, the least recently used first. */
export class PageSupply {
  readonly #memory: KvMemory;
  readonly #conversations: ConversationCache;

  constructor(memory: KvMemory, conversations: ConversationCache) {
    this.#memory = memory;
    this.#conversations = conversations;
  }

  /**
   * Makes sure that so many units are free, and that few have to be moved for them.
   *
   * @returns false if it cannot; what could go is gone then
   */
  readonly makeRoom = (numUnits: number): boolean => {
    const { pool } = this.#memory;
    while (pool.unitsToMove(numUnits) > MOST_MOVED_UNITS) {
      if (!this.#evictOne()) return pool.numFreeUnits >= numUnits;
    }
    return true;
  };

  /** Lets pages of one tenant go until it holds at most so many units. @returns false if it cannot */
  limitTenant(tenant: string, mostUnits: number, running: Iterable<SequencePages>): boolean {
    while (this.unitsOfTenant(tenant, running) > mostUnits) if (!this.#evictOne(tenant)) return false;
    return true;
  }

  /** Units of a tenant's pages. @param running those of the tenant's sequences */
  unitsOfTenant(tenant: string, running: Iterable<SequencePages>): number {
    return this.unitsOf(this.pagesOfTenant(tenant, running));
  }

  /** A tenant's pages: those of the tree, of its idle conversations and of sequences that run. Public ones are nobody's. */
  pagesOfTenant(tenant: string, running: Iterable<SequencePages>): Set<number> {
    const { tree } = this.#memory;
    const idle = this.#conversations.all().filter(({ chain }) => chain.chain.tenant === tenant);
    const pages = new Set([...running, ...idle.map((kv) => kv.pages)].flatMap((owner) => owner.ownedPages()));
    for (const page of tree.ownedPages()) pages.delete(page);
    for (const page of tree.ownedPages(tenant)) pages.add(page);
    return pages;
  }

  /** Units of different pages. */
  unitsOf(pages: ReadonlySet<number>): number {
    let numUnits = 0;
    for (const page of pages) numUnits += this.#memory.pool.numUnitsOf(page);
    return numUnits;
  }

  #evictOne(tenant?: string): boolean {
    const idle = this.#conversations.oldest(tenant);
    const leaf = this.#memory.tree.oldestUse(tenant);
    if (idle && (leaf === undefined || idle.lastUsed < leaf)) {
      this.#conversations.release(idle.conversation);
      return true;
    }
    return leaf !== undefined && this.#memory.evictOne(tenant);
  }
}
