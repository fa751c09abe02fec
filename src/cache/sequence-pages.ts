import type { KvFormat } from '../quant/kv-format.ts';
import { PageIntegrityError, type PagePool } from './page-pool.ts';

/** Where a sequence gets its pages from; `sink` is absent where the format has no sink tokens. */
export interface PagePools {
  readonly sealed: PagePool;
  readonly open: PagePool;
  readonly sink: PagePool | undefined;
}

/** How a format cuts positions into pages (docs/page-format.md). */
export type PageGeometry = Pick<KvFormat, 'pageSize' | 'numSinkTokens'>;

/** The pages that a run of new tokens needs: those before it, its own, and where its own goes when it is full. */
export interface SegmentPages {
  readonly firstPosition: number;
  readonly sealedPages: readonly number[];
  readonly openPage: number;
  readonly sinkPage: number | undefined;
  readonly sealInto: number | undefined;
}

/** Sealed pages that `numTokens` tokens fill. */
export function numSealedPages(geometry: PageGeometry, numTokens: number): number {
  return Math.max(0, Math.floor((numTokens - geometry.numSinkTokens) / geometry.pageSize));
}

/**
 * The block table of one sequence: which pages hold its first `numTokens` tokens. Tokens are added in three steps:
 * `reserve`, then a kernel step that writes what `segment` describes, then `commit`.
 */
export class SequencePages {
  readonly #pools: PagePools;
  readonly #geometry: PageGeometry;
  readonly #sealedPages: number[] = [];
  #openPage: number | undefined;
  #sinkPage: number | undefined;
  #sealInto: number | undefined;
  #numTokens = 0;

  constructor(pools: PagePools, geometry: PageGeometry) {
    if ((pools.sink === undefined) !== (geometry.numSinkTokens === 0)) {
      throw new RangeError(`a pool of sink pages and ${geometry.numSinkTokens} sink tokens do not go together`);
    }
    this.#pools = pools;
    this.#geometry = geometry;
  }

  /** Tokens whose keys and values are stored. */
  get numTokens(): number {
    return this.#numTokens;
  }

  /** Indices of the sealed pages, in order of position. */
  get sealedPages(): readonly number[] {
    return this.#sealedPages;
  }

  /** Tokens until the open page is full: the most that one segment can hold. Always above 0. */
  get numTokensToFull(): number {
    const { pageSize, numSinkTokens } = this.#geometry;
    return numSinkTokens + (this.#sealedPages.length + 1) * pageSize - this.#numTokens;
  }

  /**
   * Gets the pages that the next `numTokens` tokens need. What it gets before it fails stays with the sequence.
   *
   * @throws KvantError OUT_OF_MEMORY if the pools have too few free pages
   * @throws RangeError if the tokens do not fit into the open page
   */
  reserve(numTokens: number): void {
    this.#assertFits(numTokens);
    this.#openPage ??= this.#pools.open.allocate();
    if (this.#pools.sink) this.#sinkPage ??= this.#pools.sink.allocate();
    if (numTokens === this.numTokensToFull) this.#sealInto ??= this.#pools.sealed.allocate();
  }

  /** The pages of a segment of the next `numTokens` tokens. @throws PageIntegrityError if they were not reserved */
  segment(numTokens: number): SegmentPages {
    this.#assertReserved(numTokens);
    return {
      firstPosition: this.#numTokens,
      sealedPages: [...this.#sealedPages],
      openPage: this.#openPage as number,
      sinkPage: this.#sinkPage,
      sealInto: numTokens === this.numTokensToFull ? this.#sealInto : undefined,
    };
  }

  /** Counts the next `numTokens` tokens as stored; a full open page has become a sealed one. */
  commit(numTokens: number): void {
    this.#assertReserved(numTokens);
    const isFull = numTokens === this.numTokensToFull;
    this.#numTokens += numTokens;
    if (!isFull) return;
    this.#sealedPages.push(this.#sealInto as number);
    this.#sealInto = undefined;
  }

  /**
   * Goes back to the first `numTokens` tokens, or to fewer: the f16 values of a sealed page are gone, so a position
   * inside one takes the sequence back to that page's start.
   *
   * @returns the new number of tokens
   */
  truncate(numTokens: number): number {
    if (!Number.isInteger(numTokens) || numTokens < 0) throw new RangeError(`cannot truncate to ${numTokens} tokens`);
    const length = this.lengthAfterTruncate(numTokens);
    const numKept = numSealedPages(this.#geometry, length);
    for (const page of this.#sealedPages.splice(numKept)) this.#pools.sealed.release(page);
    this.#numTokens = length;
    return length;
  }

  /** What `truncate(numTokens)` would return. */
  lengthAfterTruncate(numTokens: number): number {
    const { pageSize, numSinkTokens } = this.#geometry;
    if (numTokens >= this.#numTokens) return this.#numTokens;
    const openStart = numSinkTokens + this.#sealedPages.length * pageSize;
    if (numTokens >= openStart || numTokens <= numSinkTokens) return numTokens;
    return numTokens - ((numTokens - numSinkTokens) % pageSize);
  }

  /** Gives every page back; the sequence is empty afterwards and can be used again. */
  release(): void {
    for (const page of this.#sealedPages.splice(0)) this.#pools.sealed.release(page);
    if (this.#sealInto !== undefined) this.#pools.sealed.release(this.#sealInto);
    if (this.#openPage !== undefined) this.#pools.open.release(this.#openPage);
    if (this.#sinkPage !== undefined) this.#pools.sink?.release(this.#sinkPage);
    this.#sealInto = this.#openPage = this.#sinkPage = undefined;
    this.#numTokens = 0;
  }

  /**
   * Every page that the sequence owns, for `PagePool.check`. @throws PageIntegrityError if tokens and pages disagree
   */
  ownedPages(): {
    readonly sealed: readonly number[];
    readonly open: readonly number[];
    readonly sink: readonly number[];
  } {
    const numFull = numSealedPages(this.#geometry, this.#numTokens);
    if (numFull !== this.#sealedPages.length) {
      throw new PageIntegrityError(`${this.#numTokens} tokens fill ${numFull} pages, not ${this.#sealedPages.length}`);
    }
    const sealed = this.#sealInto === undefined ? this.#sealedPages : [...this.#sealedPages, this.#sealInto];
    return { sealed, open: toList(this.#openPage), sink: toList(this.#sinkPage) };
  }

  #assertFits(numTokens: number): void {
    if (Number.isInteger(numTokens) && numTokens > 0 && numTokens <= this.numTokensToFull) return;
    throw new RangeError(`${numTokens} tokens do not fit: the open page takes from 1 to ${this.numTokensToFull}`);
  }

  #assertReserved(numTokens: number): void {
    this.#assertFits(numTokens);
    const needsSealInto = numTokens === this.numTokensToFull;
    if (this.#openPage !== undefined && (!needsSealInto || this.#sealInto !== undefined)) return;
    throw new PageIntegrityError(`${numTokens} tokens after token ${this.#numTokens} were not reserved`);
  }
}

function toList(page: number | undefined): readonly number[] {
  return page === undefined ? [] : [page];
}
