import { bitsPerElement, PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
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
const PAGE_STATES: readonly PageState[] = ['open', 'sealed', 'shared', 'kept'];

/**
 * Pages by state and format. Between steps; takes time in proportion to the pages.
 *
 * @param owners those that are to be counted: of one tenant, or all. Whoever is not among them is no user of a page either
 */
export function pageStats(memory: KvMemory, owners: PageOwners): PageStats {
  const counted = countPages(memory, owners);
  const byFormat = countFormats(memory, counted);
  const newest = [...counted.pages].sort(([a], [b]) => a - b).slice(-MAX_STRIP_PAGES);
  return {
    tokensPerPage: memory.defaultCache.shape.pageSize,
    byState: countStates(byFormat),
    byFormat,
    strip: newest.map(([id, page]) => stripPage(id, page)),
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

/** What there is of a format. */
interface FormatSums {
  readonly states: Record<PageState, number>;
  units: number;
  unitsF16: number;
}

/** Formats that have pages, in the order of the memory. */
function countFormats(memory: KvMemory, { pages, sinkPages }: CountedPages): FormatPages[] {
  const sums = new Map<KvCache, FormatSums>();
  const sumsOf = (cache: KvCache): FormatSums => {
    const known = sums.get(cache) ?? { states: noPages(), units: 0, unitsF16: 0 };
    sums.set(cache, known);
    return known;
  };
  for (const [id, page] of pages) {
    const of = sumsOf(page.cache);
    of.states[stateOf(page)]++;
    of.units += memory.pool.numUnitsOf(id);
    of.unitsF16 += page.cache.shape.openUnits;
  }
  for (const [id, cache] of sinkPages) {
    const of = sumsOf(cache);
    const numUnits = memory.pool.numUnitsOf(id);
    of.units += numUnits;
    of.unitsF16 += numUnits;
  }
  return [...memory.caches].flatMap((cache) => {
    const of = sums.get(cache);
    return of ? [toFormatPages(cache, of)] : [];
  });
}

function toFormatPages({ format, sealedLayout }: KvCache, { states, units, unitsF16 }: FormatSums): FormatPages {
  return {
    format: format.name,
    bitsPerElement: bitsPerElement(sealedLayout),
    ...states,
    bytes: units * PAGE_UNIT_BYTES,
    bytesF16: unitsF16 * PAGE_UNIT_BYTES,
  };
}

function countStates(formats: readonly FormatPages[]): Record<PageState, number> {
  const counts = noPages();
  for (const pages of formats) for (const state of PAGE_STATES) counts[state] += pages[state];
  return counts;
}

function noPages(): Record<PageState, number> {
  return { open: 0, sealed: 0, shared: 0, kept: 0 };
}
