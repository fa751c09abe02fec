import { bitsPerElement, PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import type { PagePool } from '../cache/page-pool.ts';
import type { PrefixNode } from '../cache/prefix-tree.ts';
import type { KvCache, KvMemory } from './kv-memory.ts';
import type { KvSequence } from './kv-sequence.ts';
import { MAX_STRIP_PAGES, type FormatPages, type PageState, type PageStats, type StripPage } from './stats-types.ts';

/** Whoever has pages: sequences that run and conversations that do not, and the prefix tree. */
export interface PageOwners {
  readonly sequences: Iterable<KvSequence>;
  readonly nodes: Iterable<PrefixNode>;
}

interface CountedPage {
  readonly cache: KvCache;
  readonly isOpen: boolean;
  numUsers: number;
}

/** What is known of pages by id; a sink page belongs to the first page of its chain. */
interface CountedPages {
  readonly pages: Map<number, CountedPage>;
  readonly sinkPages: Map<number, KvCache>;
}

const F16_BITS = 16;

/**
 * Pages by state and format. Between steps; takes time in proportion to the pages.
 *
 * @param owners those that are to be counted: of one tenant, or all. Whoever is not among them is no user of a page either
 */
export function pageStats(memory: KvMemory, owners: PageOwners): PageStats {
  const counted = countPages(memory, owners);
  const strip = [...counted.pages].map(([id, page]) => stripPage(id, page)).sort((a, b) => a.id - b.id);
  return {
    tokensPerPage: memory.defaultCache.shape.pageSize,
    byState: countStates(strip),
    byFormat: [...memory.caches].flatMap((cache) => formatPages(cache, counted, memory.pool) ?? []),
    strip: strip.slice(-MAX_STRIP_PAGES),
  };
}

function countPages(memory: KvMemory, { sequences, nodes }: PageOwners): CountedPages {
  const pages = new Map<number, CountedPage>();
  const sinkPages = new Map<number, KvCache>();
  for (const { cache, pages: owned } of sequences) {
    if (owned.openPage !== undefined) pages.set(owned.openPage, { cache, isOpen: true, numUsers: 1 });
    if (owned.sinkPage !== undefined) sinkPages.set(owned.sinkPage, cache);
    for (const id of owned.sealedPages) {
      const page = pages.get(id);
      if (page) page.numUsers++;
      else pages.set(id, { cache, isOpen: false, numUsers: 1 });
    }
  }
  const caches = new Map([...memory.caches].map((cache) => [cache.root, cache]));
  for (const { page, sinkPage, root } of nodes) {
    const cache = caches.get(root);
    if (!cache) continue;
    if (!pages.has(page)) pages.set(page, { cache, isOpen: false, numUsers: 0 });
    if (sinkPage !== undefined) sinkPages.set(sinkPage, cache);
  }
  return { pages, sinkPages };
}

function stateOf({ isOpen, numUsers }: CountedPage): PageState {
  if (isOpen) return 'open';
  if (numUsers === 0) return 'kept';
  return numUsers === 1 ? 'sealed' : 'shared';
}

function stripPage(id: number, page: CountedPage): StripPage {
  const { cache, isOpen, numUsers } = page;
  const bits = isOpen ? F16_BITS : bitsPerElement(cache.sealedLayout);
  return { id, state: stateOf(page), format: cache.format.name, bitsPerElement: bits, users: numUsers };
}

/** Undefined for a format without pages. */
function formatPages(cache: KvCache, { pages, sinkPages }: CountedPages, pool: PagePool): FormatPages | undefined {
  const own = [...pages].filter(([, page]) => page.cache === cache);
  const sinks = [...sinkPages].filter(([, of]) => of === cache);
  if (own.length === 0 && sinks.length === 0) return undefined;
  const unitsOf = (ids: readonly (readonly [number, unknown])[]): number =>
    ids.reduce((total, [id]) => total + pool.numUnitsOf(id), 0);
  const sinkUnits = unitsOf(sinks);
  return {
    format: cache.format.name,
    bitsPerElement: bitsPerElement(cache.sealedLayout),
    ...countStates(own.map(([, page]) => ({ state: stateOf(page) }))),
    bytes: (unitsOf(own) + sinkUnits) * PAGE_UNIT_BYTES,
    bytesF16: (own.length * cache.shape.openUnits + sinkUnits) * PAGE_UNIT_BYTES,
  };
}

function countStates(pages: readonly { readonly state: PageState }[]): Record<PageState, number> {
  const counts = { open: 0, sealed: 0, shared: 0, kept: 0 };
  for (const { state } of pages) counts[state]++;
  return counts;
}
