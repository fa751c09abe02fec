import {
  f16PageLayout,
  PAGE_UNIT_BYTES,
  sealedPageLayout,
  type KvShape,
  type PageLayout,
} from '../cache/page-layout.ts';
import { PagePool } from '../cache/page-pool.ts';
import type { PageStore, StoredPage } from '../cache/page-store.ts';
import { isFirstPage, type ChainPage, type TokenChain } from '../cache/prefix-chain.ts';
import { rootKey, type PrefixKey } from '../cache/prefix-key.ts';
import { PrefixTree, type PrefixNode } from '../cache/prefix-tree.ts';
import { numSealedPages, numTokensIn, SequencePages, type PageShape } from '../cache/sequence-pages.ts';
import type { Kernels, PageArena, StepPages } from '../kernels/kernels.ts';
import { arenaStepPages } from '../kernels/step-pages.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import { KvSequence } from './kv-sequence.ts';

/** One format's view of the arena. */
export interface KvCache {
  readonly format: KvFormat;
  readonly pages: StepPages;
  readonly sealedLayout: PageLayout;
  readonly shape: PageShape;
  /** Key that chains of this format start with. */
  readonly root: PrefixKey;
}

export interface KvMemoryOptions {
  /** Size of the arena. */
  readonly numBytes: number;
  /** Key that chains of the kernels' own format start with, see cache-identity.ts. */
  readonly root: PrefixKey;
}

/** All page memory of an engine: one arena for pages of all formats, and the prefix tree of what is sealed. */
export class KvMemory {
  readonly pool: PagePool;
  readonly tree: PrefixTree;
  /** Where pages go that are evicted; nowhere if undefined. Closed by the engine. */
  store: PageStore | undefined;
  /** The format that the engine was loaded with. */
  readonly defaultCache: KvCache;
  readonly #kernels: Kernels;
  readonly #arena: PageArena;
  readonly #caches = new Map<KvFormat, KvCache>();

  /** @throws KvantError OUT_OF_MEMORY if the backend cannot take the arena */
  constructor(kernels: Kernels, { numBytes, root }: KvMemoryOptions) {
    this.#kernels = kernels;
    this.#arena = kernels.createPageArena(Math.floor(numBytes / PAGE_UNIT_BYTES) * PAGE_UNIT_BYTES);
    this.pool = new PagePool(this.#arena.numUnits, (from, to, numUnits) => {
      kernels.copyUnits(this.#arena, from, to, numUnits);
    });
    this.tree = new PrefixTree(this.pool);
    this.defaultCache = this.addFormat(kernels.config.format, root);
  }

  /** Memory for one sequence in the kernels' own format, none of whose pages anybody shares. @throws KvantError OUT_OF_MEMORY */
  static forSequence(kernels: Kernels, numTokens: number): KvMemory {
    const { format, shape } = kernels.config;
    return new KvMemory(kernels, { numBytes: sequenceBytes(format, shape, numTokens), root: rootKey({}) });
  }

  /**
   * Makes another format known; nothing happens if it is.
   *
   * @param root key that its chains start with
   * @throws KvantError OUT_OF_MEMORY where the backend has no room for the format's own data
   */
  addFormat(format: KvFormat, root: PrefixKey): KvCache {
    const known = this.#caches.get(format);
    if (known) return known;
    const pages = arenaStepPages(this.#kernels, this.#arena, format);
    const sealedLayout = sealedPageLayout(format, this.#kernels.config.shape);
    const cache = { format, pages, sealedLayout, shape: pageShapeOf(pages), root };
    this.#caches.set(format, cache);
    return cache;
  }

  /** A format's view of the arena. @throws RangeError if it was not added */
  cacheOf(format: KvFormat): KvCache {
    const cache = this.#caches.get(format);
    if (!cache) throw new RangeError(`the format ${format.name} was not added`);
    return cache;
  }

  /** Formats that were added, the engine's own first. */
  get caches(): Iterable<KvCache> {
    return this.#caches.values();
  }

  /** The format whose chains start with a key; undefined if it is none's. */
  cacheOfRoot(key: PrefixKey): KvCache | undefined {
    return [...this.#caches.values()].find(({ root }) => root === key);
  }

  /**
   * Most tokens that one sequence can have if it has the arena to itself; 0 if not even one.
   *
   * @param mostUnits if it may not have all of the arena
   */
  longestSequence({ shape }: KvCache, mostUnits = Infinity): number {
    const numUnits = Math.min(mostUnits, this.pool.numUnits);
    const numPages = Math.floor((numUnits - shape.openUnits - shape.sinkUnits) / shape.sealedUnits);
    return numPages < 0 ? 0 : shape.numSinkTokens + (numPages + 1) * shape.pageSize - 1;
  }

  /** A sequence without tokens, which owns no page yet. Nobody else gets its pages. */
  createSequence(cache: KvCache = this.defaultCache): SequencePages {
    return new SequencePages(this.pool, cache.shape);
  }

  /**
   * How much of a sequence need not be computed.
   *
   * @param most tokens that may be taken from the cache
   */
  match(chain: TokenChain, most: number): PrefixMatch {
    const nodes: PrefixNode[] = [];
    const stored: ChainPage[] = [];
    const { shape } = chain.chain;
    const numPages = numSealedPages(shape, most);
    for (let index = 0; index < numPages; index++) {
      const page = chain.page(index);
      const node = stored.length === 0 ? this.tree.find(page) : undefined;
      if (node) nodes.push(node);
      else if (this.store?.has(page)) stored.push(page);
      else break;
    }
    return { nodes, stored, numTokens: numTokensIn(shape, nodes.length + stored.length) };
  }

  /**
   * A sequence that begins with pages of the tree, and with those of the store as far as there is room for them.
   *
   * @param makeRoom frees units; false if it cannot
   */
  startSequence(cache: KvCache, chain: TokenChain, match: PrefixMatch, makeRoom: MakeRoom): KvSequence {
    const nodes: PrefixNode[] = [];
    // What is owned by somebody beside the tree does not go when room is made for the next page.
    const hold = (node: PrefixNode): void => {
      this.pool.retain(node.page);
      nodes.push(node);
    };
    match.nodes.forEach(hold);
    for (const page of match.stored) {
      const stored = this.store?.get(page);
      const node = stored && this.insertPage(cache, { ...stored, ...page }, makeRoom);
      if (!node) break;
      hold(node);
    }
    this.tree.touch(nodes);
    const prefix = { sealedPages: nodes.map(({ page }) => page), sinkPage: nodes[0]?.sinkPage };
    const pages = new SequencePages(this.pool, cache.shape, prefix);
    for (const { page } of nodes) this.pool.release(page);
    return new KvSequence(cache, chain, pages);
  }

  /**
   * Puts a page into the arena and the tree. Between steps.
   *
   * @returns undefined where there is no room, or no place for it in the tree
   * @throws RangeError for a page without the sink page that it should have, or of another length
   */
  insertPage({ shape, pages }: KvCache, page: StoredPage, makeRoom: MakeRoom): PrefixNode | undefined {
    const known = this.tree.find(page);
    if (known) return known;
    const sinkUnits = isFirstPage(page) ? shape.sinkUnits : 0;
    const sizes = [page.sealed.length, page.sink?.length ?? 0].map((numBytes) => numBytes / PAGE_UNIT_BYTES);
    if (sizes[0] !== shape.sealedUnits || sizes[1] !== sinkUnits) {
      throw new RangeError(
        `a page of ${sizes.join(' + ')} units, where the format has ${shape.sealedUnits} + ${sinkUnits}`,
      );
    }
    if (!makeRoom(shape.sealedUnits + sinkUnits)) return undefined;
    const sealed = this.pool.allocate(shape.sealedUnits);
    const sinkPage = sinkUnits > 0 ? this.pool.allocate(sinkUnits) : undefined;
    this.#kernels.writePage(pages.sealed, this.pool.unitOf(sealed), page.sealed);
    if (sinkPage !== undefined && pages.sink && page.sink) {
      this.#kernels.writePage(pages.sink, this.pool.unitOf(sinkPage), page.sink);
    }
    // Not the bytes, which the tree would hold on to.
    const { key, parent, root, tokens, tenant } = page;
    const node = this.tree.insert({ key, parent, root, tokens, tenant }, { page: sealed, sinkPage });
    // The tree has made itself an owner.
    this.pool.release(sealed);
    if (sinkPage !== undefined) this.pool.release(sinkPage);
    return node;
  }

  /** A node's bytes as of this call, as the store and files keep them; at once where the backend can. */
  readNode(cache: KvCache, node: PrefixNode): StoredPage | Promise<StoredPage> {
    const { pages } = cache;
    const read = this.#kernels.readPage.bind(this.#kernels);
    const { key, parent, root, tokens, tenant, sinkPage } = node;
    const place = { key, parent, root, tokens, tenant };
    const sealed = read(pages.sealed, this.pool.unitOf(node.page));
    const sink = pages.sink && sinkPage !== undefined ? read(pages.sink, this.pool.unitOf(sinkPage)) : undefined;
    if (sealed instanceof Uint8Array && !(sink instanceof Promise)) return { ...place, sealed, sink };
    return Promise.all([sealed, sink]).then(([ofSealed, ofSink]) => ({ ...place, sealed: ofSealed, sink: ofSink }));
  }

  /** Lets the least recently used page of the tree go, to the store if there is one. @returns whether there was one */
  evictOne(tenant?: string): boolean {
    return this.tree.evictOne((node) => this.#demote(node), tenant);
  }

  /** Another sequence of the same tokens, with an open page of its own. @throws KvantError OUT_OF_MEMORY */
  fork({ cache, chain, pages }: KvSequence): KvSequence {
    const forked = pages.fork((from, to) => {
      const [source, target] = [this.pool.unitOf(from), this.pool.unitOf(to)];
      this.#kernels.copyUnits(this.#arena, source, target, this.pool.numUnitsOf(from));
    });
    return new KvSequence(cache, chain, forked);
  }

  /** @param owners everybody beside the tree who may own a page. @throws PageIntegrityError with the sum that fails */
  check(owners: readonly Pick<SequencePages, 'ownedPages'>[]): void {
    this.pool.check([...this.tree.ownedPages(), ...owners.flatMap((pages) => pages.ownedPages())]);
  }

  #demote(node: PrefixNode): void {
    if (!this.store || this.store.has(node)) return;
    const cache = this.cacheOfRoot(node.root);
    if (!cache) return;
    const page = this.readNode(cache, node);
    const { store } = this;
    // What cannot be read is not kept; that the device failed, the next step says.
    if (page instanceof Promise)
      void page.then(
        (read) => store.put(read),
        () => undefined,
      );
    else store.put(page);
  }
}

/** Bytes of the pages of a sequence of `numTokens` tokens, none of them shared. */
export function sequenceBytes(format: KvFormat, shape: KvShape, numTokens: number): number {
  const { pageSize, numSinkTokens } = format;
  const openBytes = f16PageLayout(pageSize, shape).pageBytes;
  const sinkBytes = numSinkTokens > 0 ? f16PageLayout(numSinkTokens, shape).pageBytes : 0;
  return numSealedPages(format, numTokens) * sealedPageLayout(format, shape).pageBytes + openBytes + sinkBytes;
}

/** Frees units by letting go what nobody uses; false if it cannot free so many. */
export type MakeRoom = (numUnits: number) => boolean;

/** What of a sequence is in the cache already. */
export interface PrefixMatch {
  /** Pages in the arena, and those that follow in the store. */
  readonly nodes: readonly PrefixNode[];
  readonly stored: readonly ChainPage[];
  readonly numTokens: number;
}

function pageShapeOf({ format, sealed, open, sink }: StepPages): PageShape {
  const unitsOf = ({ layout }: { readonly layout: PageLayout }): number => layout.pageBytes / PAGE_UNIT_BYTES;
  return {
    pageSize: format.pageSize,
    numSinkTokens: format.numSinkTokens,
    sealedUnits: unitsOf(sealed),
    openUnits: unitsOf(open),
    sinkUnits: sink ? unitsOf(sink) : 0,
  };
}
