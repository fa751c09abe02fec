import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import type { SequencePages } from '../cache/sequence-pages.ts';
import type { ConversationCache } from './conversation-cache.ts';
import type { KvMemory } from './kv-memory.ts';
import { PageHold } from './page-hold.ts';

/** What may be let go to free pages. */
export interface EvictionLimits {
  /** Whether pages that are held may go when nothing else is left. Default true. */
  readonly takesHeld?: boolean;
}

/** Moving as much takes a few milliseconds; rather than more, another page goes that nobody uses. */
const MOST_MOVED_UNITS = 16_000_000 / PAGE_UNIT_BYTES;

/** Frees pages that nobody runs on: those of the prefix tree and of idle conversations, the least recently used first. */
export class PageSupply {
  readonly #memory: KvMemory;
  readonly #conversations: ConversationCache;
  readonly #holds = new Set<PageHold>();

  constructor(memory: KvMemory, conversations: ConversationCache) {
    this.#memory = memory;
    this.#conversations = conversations;
  }

  /**
   * Makes sure that so many units are free, and that few have to be moved for them.
   *
   * @returns false if it cannot; what could go is gone then
   */
  readonly makeRoom = (numUnits: number, limits?: EvictionLimits): boolean => {
    const { pool } = this.#memory;
    while (pool.unitsToMove(numUnits) > MOST_MOVED_UNITS) {
      if (!this.#evictOne(undefined, limits)) return pool.numFreeUnits >= numUnits;
    }
    return true;
  };

  /** Lets pages of one tenant go until it holds at most so many units. @returns false if it cannot */
  limitTenant(tenant: string, mostUnits: number, running: Iterable<SequencePages>, limits?: EvictionLimits): boolean {
    while (this.unitsOfTenant(tenant, running) > mostUnits) if (!this.#evictOne(tenant, limits)) return false;
    return true;
  }

  /** A hold on pages of a tenant, still without any. Release it. */
  hold(tenant: string): PageHold {
    const hold = new PageHold(this.#memory.pool, tenant, (released) => this.#holds.delete(released));
    this.#holds.add(hold);
    return hold;
  }

  /** All that are not released. */
  get holds(): Iterable<PageHold> {
    return this.#holds;
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

  #evictOne(tenant: string | undefined, { takesHeld = true }: EvictionLimits = {}): boolean {
    const idle = this.#conversations.oldest(tenant);
    const leaf = this.#memory.tree.oldestUse(tenant);
    if (idle && (leaf === undefined || idle.lastUsed < leaf)) {
      this.#conversations.release(idle.conversation);
      return true;
    }
    if (leaf !== undefined) return this.#memory.evictOne(tenant);
    return takesHeld && this.#releaseHold(tenant);
  }

  #releaseHold(tenant: string | undefined): boolean {
    const hold = [...this.#holds].find((each) => tenant === undefined || each.tenant === tenant);
    hold?.release();
    return hold !== undefined;
  }
}
