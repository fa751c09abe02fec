import { pageKey, type PrefixKey } from './prefix-key.ts';
import { numTokensIn, type PageShape } from './sequence-pages.ts';

/** Whose pages a sequence may share, and how they are cut. */
export interface PrefixChain {
  /** Of the identity: model, format, layout. */
  readonly root: PrefixKey;
  readonly shape: PageShape;
  /** Pages of different tenants are never shared. */
  readonly tenant: string;
  /** First tokens of the sequence that everybody may share; 0 for none. */
  readonly numPublicTokens: number;
}

/** A full page of a sequence. */
export interface ChainPage {
  readonly key: PrefixKey;
  /** Key of the page before it; of the first page the root. */
  readonly parent: PrefixKey;
  /** Of the chain. */
  readonly root: PrefixKey;
  /** Those of the page; of the first one also the sink tokens. */
  readonly tokens: readonly number[];
  /** Undefined: everybody's. */
  readonly tenant: string | undefined;
}

/** The full pages of a sequence of tokens that may grow: each is made when it is first asked for. */
export class TokenChain {
  readonly chain: PrefixChain;
  readonly #tokens: readonly number[];
  readonly #pages: ChainPage[] = [];

  /** @param tokens may get longer, but not change */
  constructor(chain: PrefixChain, tokens: readonly number[]) {
    this.chain = chain;
    this.#tokens = tokens;
  }

  /** The page at an index. @throws RangeError if the tokens do not fill it */
  page(index: number): ChainPage {
    while (this.#pages.length <= index) this.#pages.push(this.#nextPage());
    return this.#pages[index];
  }

  #nextPage(): ChainPage {
    const { chain } = this;
    const index = this.#pages.length;
    const [start, end] = [numTokensIn(chain.shape, index), numTokensIn(chain.shape, index + 1)];
    if (this.#tokens.length < end) throw new RangeError(`page ${index} ends at token ${end} of ${this.#tokens.length}`);
    const tenant = end <= chain.numPublicTokens ? undefined : chain.tenant;
    const tokens = this.#tokens.slice(start, end);
    const parent = this.#pages.at(-1)?.key ?? chain.root;
    // No tenant's salt is empty.
    const key = pageKey(parent, tenant === undefined ? '' : `tenant ${tenant}`, tokens);
    return { key, parent, root: chain.root, tokens, tenant };
  }
}

/** Whether a page is the first one of its chain. */
export function isFirstPage({ parent, root }: ChainPage): boolean {
  return parent === root;
}
