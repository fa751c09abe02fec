import { isFirstPage, TokenChain } from '../cache/prefix-chain.ts';
import type { PrefixNode } from '../cache/prefix-tree.ts';
import { numTokensIn, type PageShape, type SequencePages } from '../cache/sequence-pages.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import type { KvCache, KvMemory } from './kv-memory.ts';
import type { PageHold } from './page-hold.ts';
import type { PageSupply } from './page-supply.ts';
import type { PublicPrefixes } from './public-prefixes.ts';
import { DEFAULT_TENANT } from './request.ts';

export interface SessionPagesParts {
  readonly memory: KvMemory;
  readonly supply: PageSupply;
  readonly publicPrefixes: PublicPrefixes;
  readonly tenantQuotaUnits: number | undefined;
  /** Of a tenant's sequences that run. */
  readonly pagesRunning: (tenant: string) => readonly SequencePages[];
  /** Does something to the page memory while no step runs. */
  readonly betweenSteps: <T>(task: () => T) => Promise<T>;
}

/** A sequence of tokens whose pages are wanted. */
export interface PageText {
  readonly tokens: readonly number[];
  readonly format: KvFormat;
  readonly tenant?: string | undefined;
}

/** The bytes of a page, as the arena has them; of the first one also those of the sink page, where the format has one. */
export interface PageBytes {
  readonly sealed: Uint8Array;
  readonly sink?: Uint8Array | undefined;
}

/** Gives pages of the prefix tree to those who write files, and takes what they have read. */
export class SessionPages {
  readonly #parts: SessionPagesParts;

  constructor(parts: SessionPagesParts) {
    this.#parts = parts;
  }

  /** What the cache has of a text, the second tier counted. The pages are held until they are released. */
  async find(text: PageText): Promise<CachedPages> {
    const { memory, supply, betweenSteps } = this.#parts;
    const [cache, chain] = [memory.cacheOf(text.format), this.#chainOf(text)];
    return betweenSteps(() => {
      const { nodes, stored } = memory.match(chain, text.tokens.length);
      const hold = supply.hold(chain.chain.tenant);
      for (const node of nodes) hold.add(node);
      const numPages = nodes.length + stored.length;
      const read = async (index: number): Promise<PageBytes | undefined> =>
        await betweenSteps(() => readPage(memory, cache, chain, index));
      return new CachedPages({ numPages, hold, read });
    });
  }

  /** Takes pages of a text into the cache, from the first on. */
  import(text: PageText): PageImport {
    const { memory, supply, betweenSteps, tenantQuotaUnits, pagesRunning } = this.#parts;
    const [cache, chain] = [memory.cacheOf(text.format), this.#chainOf(text)];
    const { tenant } = chain.chain;
    const limits = { takesHeld: false };
    const makeRoom = (numUnits: number): boolean => {
      const most = tenantQuotaUnits === undefined ? Infinity : tenantQuotaUnits - numUnits;
      return supply.limitTenant(tenant, most, pagesRunning(tenant), limits) && supply.makeRoom(numUnits, limits);
    };
    const hold = supply.hold(tenant);
    const insert = (index: number, { sealed, sink }: PageBytes) =>
      betweenSteps(() => {
        const node = memory.insertPage(cache, { ...chain.page(index), sealed, sink }, makeRoom);
        if (node) hold.add(node);
        return node;
      });
    return new PageImport({ shape: cache.shape, hold, insert, touch: (nodes) => memory.tree.touch(nodes) });
  }

  #chainOf({ tokens, format, tenant = DEFAULT_TENANT }: PageText): TokenChain {
    const { root, shape } = this.#parts.memory.cacheOf(format);
    const numPublicTokens = this.#parts.publicPrefixes.lengthIn(tokens);
    return new TokenChain({ root, shape, tenant, numPublicTokens }, tokens);
  }
}

interface CachedPagesParts {
  readonly numPages: number;
  readonly hold: PageHold;
  readonly read: (index: number) => Promise<PageBytes | undefined>;
}

/** Pages that the cache had of a text when it was asked. */
export class CachedPages {
  readonly #parts: CachedPagesParts;

  constructor(parts: CachedPagesParts) {
    this.#parts = parts;
  }

  get numPages(): number {
    return this.#parts.numPages;
  }

  /** A copy of a page, taken between two steps; undefined if it is gone, as requests needed its room. */
  read(index: number): Promise<PageBytes | undefined> {
    return this.#parts.read(index);
  }

  release(): void {
    this.#parts.hold.release();
  }
}

interface PageImportParts {
  readonly shape: PageShape;
  readonly hold: PageHold;
  /** Puts a page into the tree and holds it. */
  readonly insert: (index: number, bytes: PageBytes) => Promise<PrefixNode | undefined>;
  readonly touch: (nodes: readonly PrefixNode[]) => void;
}

/** Pages on their way into the cache. Those that are in stay while others follow. */
export class PageImport {
  readonly #parts: PageImportParts;
  readonly #nodes: PrefixNode[] = [];

  constructor(parts: PageImportParts) {
    this.#parts = parts;
  }

  get numPages(): number {
    return this.#nodes.length;
  }

  /** Tokens that the pages hold. */
  get numTokens(): number {
    return numTokensIn(this.#parts.shape, this.numPages);
  }

  /** Adds the next page; nothing happens where it is in the cache already. @returns false if there is no room */
  async add(bytes: PageBytes): Promise<boolean> {
    const node = await this.#parts.insert(this.numPages, bytes);
    if (!node) return false;
    this.#nodes.push(node);
    return true;
  }

  /** Ends the import: from now on the pages are as evictable as all others, as used just now. */
  release(): void {
    this.#parts.touch(this.#nodes);
    this.#parts.hold.release();
  }
}

async function readPage(
  memory: KvMemory,
  cache: KvCache,
  chain: TokenChain,
  index: number,
): Promise<PageBytes | undefined> {
  const page = chain.page(index);
  const node = memory.tree.find(page);
  const bytes = node ? await memory.readNode(cache, node) : memory.store?.get(page);
  if (!bytes) return undefined;
  return { sealed: bytes.sealed, sink: isFirstPage(page) ? bytes.sink : undefined };
}
