import { PageIntegrityError, type PagePool } from './page-pool.ts';
import { isSamePage } from './page-store.ts';
import { isFirstPage, type ChainPage } from './prefix-chain.ts';
import type { PrefixKey } from './prefix-key.ts';

/** A sealed page that sequences with the same beginning share. */
export interface PrefixNode extends ChainPage {
  /** Id; the tree is one of its owners. */
  readonly page: number;
  /** Of the first page of a chain, where the format has sink tokens. */
  readonly sinkPage: number | undefined;
}

interface TreeNode extends PrefixNode {
  numChildren: number;
  lastUsed: number;
}

/** What goes when a page is evicted, before it is gone. */
export type OnEvict = (node: PrefixNode) => void;

/**
 * Sealed pages by what they hold (automatic prefix caching, as in vLLM, arXiv 2309.06180): every page is a node below the page before it.
 * The tree owns each page once, sequences that use it own it, too. Where room is needed, pages that nobody else owns go: the least
 * recently used leaf first, so that a chain is freed from its tail.
 */
export class PrefixTree {
  readonly #pool: PagePool;
  readonly #nodes = new Map<PrefixKey, TreeNode>();
  readonly #pages = new Set<number>();
  readonly #tenantUnits = new Map<string, number>();
  #clock = 0;

  constructor(pool: PagePool) {
    this.#pool = pool;
  }

  get numPages(): number {
    return this.#nodes.size;
  }

  /** Moments count uses; a later one is larger. */
  tick(): number {
    return ++this.#clock;
  }

  /**
   * The node of a page, if it is there: keys and tokens are compared, so that a collision of keys can only miss.
   */
  find(page: ChainPage): PrefixNode | undefined {
    const node = this.#nodes.get(page.key);
    return node && isSamePage(node, page) ? node : undefined;
  }

  /** Counts pages as used just now. */
  touch(pages: Iterable<Pick<ChainPage, 'key'>>): void {
    const now = this.tick();
    for (const { key } of pages) {
      const node = this.#nodes.get(key);
      if (node) node.lastUsed = now;
    }
  }

  /**
   * Makes a page part of the tree, which becomes one more owner of it.
   *
   * @returns the node; or the one of the same content that was there before, and nothing changes; or undefined where it cannot be in
   *   the tree: its parent is not, or its key is another page's
   * @throws PageIntegrityError if the page is in the tree under another key
   */
  insert(chainPage: ChainPage, pages: Pick<PrefixNode, 'page' | 'sinkPage'>): PrefixNode | undefined {
    const known = this.find(chainPage);
    if (known) return known;
    if (this.#nodes.has(chainPage.key)) return undefined;
    // Nobody else would ever seem to own it but for the other node, and it could never be evicted.
    if (this.#pages.has(pages.page))
      throw new PageIntegrityError(`page ${pages.page} is in the tree under another key`);
    const parent = this.#nodes.get(chainPage.parent);
    if (!isFirstPage(chainPage) && !parent) return undefined;
    if (parent) parent.numChildren++;
    this.#pool.retain(pages.page);
    if (pages.sinkPage !== undefined) this.#pool.retain(pages.sinkPage);
    const node = { ...chainPage, page: pages.page, sinkPage: pages.sinkPage, numChildren: 0, lastUsed: this.tick() };
    this.#nodes.set(chainPage.key, node);
    this.#pages.add(pages.page);
    this.#countUnits(node, 1);
    return node;
  }

  /** Units of a tenant's pages in the tree, in use or not. */
  unitsOfTenant(tenant: string): number {
    return this.#tenantUnits.get(tenant) ?? 0;
  }

  /** When the page was used last that would be evicted next; undefined if none can be. */
  oldestUse(tenant?: string): number | undefined {
    return this.#oldestLeaf(tenant)?.lastUsed;
  }

  /**
   * Lets one page go: the leaf that nobody owns and nobody has used for longest.
   *
   * @param tenant only of this tenant's
   * @returns whether there was one
   */
  evictOne(onEvict?: OnEvict, tenant?: string): boolean {
    const node = this.#oldestLeaf(tenant);
    if (!node) return false;
    onEvict?.(node);
    this.#remove(node);
    return true;
  }

  /** All pages, in the order in which they came. */
  nodes(): Iterable<PrefixNode> {
    return this.#nodes.values();
  }

  /** Every page that the tree owns, or those of one tenant. */
  ownedPages(tenant?: string): number[] {
    const nodes = [...this.#nodes.values()];
    return nodes.filter((node) => tenant === undefined || node.tenant === tenant).flatMap(pagesOf);
  }

  /** Lets all pages go that nobody else owns. */
  clear(): void {
    while (this.evictOne());
  }

  #oldestLeaf(tenant: string | undefined): TreeNode | undefined {
    let oldest: TreeNode | undefined;
    for (const node of this.#nodes.values()) {
      if (node.numChildren > 0 || !this.#isUnused(node)) continue;
      if (tenant !== undefined && node.tenant !== tenant) continue;
      if (!oldest || node.lastUsed < oldest.lastUsed) oldest = node;
    }
    return oldest;
  }

  #remove(node: TreeNode): void {
    this.#nodes.delete(node.key);
    this.#pages.delete(node.page);
    const parent = this.#nodes.get(node.parent);
    if (parent) parent.numChildren--;
    this.#countUnits(node, -1);
    for (const page of pagesOf(node)) this.#pool.release(page);
  }

  #countUnits(node: TreeNode, sign: 1 | -1): void {
    if (node.tenant === undefined) return;
    const numUnits = this.unitsOfTenant(node.tenant) + sign * this.#unitsOf(node);
    if (numUnits === 0) this.#tenantUnits.delete(node.tenant);
    else this.#tenantUnits.set(node.tenant, numUnits);
  }

  #isUnused({ page }: PrefixNode): boolean {
    return this.#pool.numOwnersOf(page) === 1;
  }

  #unitsOf(node: PrefixNode): number {
    return pagesOf(node).reduce((total, page) => total + this.#pool.numUnitsOf(page), 0);
  }
}

function pagesOf({ page, sinkPage }: PrefixNode): number[] {
  return sinkPage === undefined ? [page] : [page, sinkPage];
}
