import { f16PageLayout, PAGE_UNIT_BYTES, sealedPageLayout, type KvShape } from '../cache/page-layout.ts';
import { PagePool } from '../cache/page-pool.ts';
import { TokenChain } from '../cache/prefix-chain.ts';
import { rootKey, type PrefixKey } from '../cache/prefix-key.ts';
import { PrefixTree, type PrefixNode } from '../cache/prefix-tree.ts';
import {
  numSealedPages,
  numTokensIn,
  SequencePages,
  unitsOfSequence,
  type PageShape,
} from '../cache/sequence-pages.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import type { ResidencyModel, ServedTokens } from './residency.ts';

/** The engine's own pages and prefix tree, without anything in the pages. */
export class PagedResidency implements ResidencyModel {
  readonly #pool: PagePool;
  readonly #tree: PrefixTree;
  readonly #shape: PageShape;
  readonly #root: PrefixKey;

  /** @param numBytes of all pages: sealed, open and sink */
  constructor(format: KvFormat, shape: KvShape, numBytes: number) {
    this.#pool = new PagePool(Math.floor(numBytes / PAGE_UNIT_BYTES));
    this.#tree = new PrefixTree(this.#pool);
    this.#shape = pageShape(format, shape);
    this.#root = rootKey({ format: format.name });
  }

  /** Of a sealed page. */
  get pageBytes(): number {
    return this.#shape.sealedUnits * PAGE_UNIT_BYTES;
  }

  serve({ tenant, prompt, stored }: ServedTokens): number | undefined {
    if (unitsOfSequence(this.#shape, stored.length) > this.#pool.numUnits) return undefined;
    const chain = this.#chainOf(tenant, stored);
    // The last token of a prompt is computed in any case: an answer begins with its logits.
    const nodes = this.#match(chain, prompt.length - 1);
    this.#tree.touch(nodes);
    const prefix = { sealedPages: nodes.map(({ page }) => page), sinkPage: nodes[0]?.sinkPage };
    const pages = new SequencePages(this.#pool, this.#shape, prefix);
    const numHit = pages.numTokens;
    while (pages.numTokens < stored.length) this.#fillPage(pages, chain, stored.length);
    pages.release();
    return numHit;
  }

  cachedTokens(tenant: string, tokens: readonly number[]): number {
    return numTokensIn(this.#shape, this.#match(this.#chainOf(tenant, tokens), tokens.length).length);
  }

  /** @throws PageIntegrityError if pages have other owners than the tree */
  check(): void {
    this.#pool.check(this.#tree.ownedPages());
  }

  #chainOf(tenant: string, tokens: readonly number[]): TokenChain {
    return new TokenChain({ root: this.#root, shape: this.#shape, tenant, numPublicTokens: 0 }, tokens);
  }

  #match(chain: TokenChain, most: number): PrefixNode[] {
    const nodes: PrefixNode[] = [];
    for (let index = 0; index < numSealedPages(this.#shape, most); index++) {
      const node = this.#tree.find(chain.page(index));
      if (!node) break;
      nodes.push(node);
    }
    return nodes;
  }

  /** The next tokens, to the end of the open page or of the sequence; a page that this seals goes to the tree. */
  #fillPage(pages: SequencePages, chain: TokenChain, numTokens: number): void {
    const numNew = Math.min(pages.numTokensToFull, numTokens - pages.numTokens);
    const numUnits = pages.unitsToReserve(numNew);
    while (this.#pool.numFreeUnits < numUnits && this.#tree.evictOne());
    pages.reserve(numNew);
    const index = pages.sealedPages.length;
    pages.commit(numNew);
    if (pages.sealedPages.length === index) return;
    const sinkPage = index === 0 ? pages.sinkPage : undefined;
    const node = this.#tree.insert(chain.page(index), { page: pages.sealedPages[index], sinkPage });
    if (node) pages.share(index, node.page, node.sinkPage);
  }
}

/** How a format's pages lie in an arena. */
export function pageShape(format: KvFormat, shape: KvShape): PageShape {
  const { pageSize, numSinkTokens } = format;
  return {
    pageSize,
    numSinkTokens,
    sealedUnits: sealedPageLayout(format, shape).pageBytes / PAGE_UNIT_BYTES,
    openUnits: f16PageLayout(pageSize, shape).pageBytes / PAGE_UNIT_BYTES,
    sinkUnits: numSinkTokens === 0 ? 0 : f16PageLayout(numSinkTokens, shape).pageBytes / PAGE_UNIT_BYTES,
  };
}
