import type { PagePool } from '../cache/page-pool.ts';
import type { PrefixNode } from '../cache/prefix-tree.ts';

/**
 * Pages of the prefix tree that are not evicted while somebody reads them for a file, or adds the pages that come after them. Requests go
 * first: where they need the room, a hold is taken back (`PageSupply`), and its pages may be gone afterwards.
 */
export class PageHold {
  /** Whose pages they are. */
  readonly tenant: string;
  readonly #pool: PagePool;
  readonly #onRelease: (hold: PageHold) => void;
  readonly #pages: number[] = [];
  #isReleased = false;

  constructor(pool: PagePool, tenant: string, onRelease: (hold: PageHold) => void) {
    this.#pool = pool;
    this.tenant = tenant;
    this.#onRelease = onRelease;
  }

  /** Keeps a page that is in the tree. Nothing happens where the hold has been released. */
  add({ page }: PrefixNode): void {
    if (this.#isReleased) return;
    this.#pool.retain(page);
    this.#pages.push(page);
  }

  /** Releasing twice is releasing once. */
  release(): void {
    this.#isReleased = true;
    for (const page of this.#pages.splice(0)) this.#pool.release(page);
    this.#onRelease(this);
  }

  /** Every page that it owns, for `PagePool.check`. */
  ownedPages(): number[] {
    return [...this.#pages];
  }
}
