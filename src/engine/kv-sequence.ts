import type { TokenChain } from '../cache/prefix-chain.ts';
import type { PrefixTree } from '../cache/prefix-tree.ts';
import type { SequencePages } from '../cache/sequence-pages.ts';
import type { KvCache } from './kv-memory.ts';

/** A sequence's pages, and where its sealed ones stand in the prefix tree. */
export class KvSequence {
  readonly cache: KvCache;
  readonly chain: TokenChain;
  readonly pages: SequencePages;
  /** Sealed pages that are the tree's, too. */
  #numPublished = 0;

  constructor(cache: KvCache, chain: TokenChain, pages: SequencePages) {
    this.cache = cache;
    this.chain = chain;
    this.pages = pages;
  }

  /**
   * Shows the tree what has been sealed since the last time, the first time everything; a page that it has already takes the place of
   * the own one. So whoever owns a page of the tree also owns those before it: else these could neither be used nor evicted.
   */
  publish(tree: PrefixTree): void {
    const { pages, chain } = this;
    for (; this.#numPublished < pages.sealedPages.length; this.#numPublished++) {
      const index = this.#numPublished;
      const sinkPage = index === 0 ? pages.sinkPage : undefined;
      const node = tree.insert(chain.page(index), { page: pages.sealedPages[index], sinkPage });
      if (!node) return;
      pages.share(index, node.page, node.sinkPage);
    }
  }

  /** Counts its pages in the tree as used just now, as they have been until it ended. */
  touch(tree: PrefixTree): void {
    tree.touch(Array.from({ length: this.#numPublished }, (_, index) => this.chain.page(index)));
  }

  /** See `SequencePages.truncate`. */
  truncate(numTokens: number): number {
    const length = this.pages.truncate(numTokens);
    this.#numPublished = Math.min(this.#numPublished, this.pages.sealedPages.length);
    return length;
  }

  /** The same pages for tokens that go on in another way. */
  withChain(chain: TokenChain): KvSequence {
    return new KvSequence(this.cache, chain, this.pages);
  }

  release(): void {
    this.pages.release();
    this.#numPublished = 0;
  }
}
