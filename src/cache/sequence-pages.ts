import type { KvFormat } from '../quant/kv-format.ts';
import { PageIntegrityError, type PagePool } from './page-pool.ts';

/** How a format cuts positions into pages (docs/page-format.md). */
export type PageGeometry = Pick<KvFormat, 'pageSize' | 'numSinkTokens'>;

/** How a format's pages lie in an arena: their sizes in units. */
export interface PageShape extends PageGeometry {
  readonly sealedUnits: number;
  readonly openUnits: number;
  /** 0 where the format has no sink tokens. */
  readonly sinkUnits: number;
}

/** The pages that a run of new tokens needs: those before it, its own, and where its own goes when it is full. All are places: units of the arena. */
export interface SegmentPages {
  readonly firstPosition: number;
  readonly sealedPages: readonly number[];
  readonly openPage: number;
  readonly sinkPage: number | undefined;
  readonly sealInto: number | undefined;
}

/** Pages that hold the first tokens of a sequence, full ones only. */
export interface FullPages {
  /** Ids in order of position. */
  readonly sealedPages: readonly number[];
  /** Id; absent where the format has no sink tokens, or there are no sealed pages. */
  readonly sinkPage: number | undefined;
}

/** Sealed pages that `numTokens` tokens fill. */
export function numSealedPages(geometry: PageGeometry, numTokens: number): number {
  return Math.max(0, Math.floor((numTokens - geometry.numSinkTokens) / geometry.pageSize));
}

/** Tokens that fill `numPages` pages; 0 for none. */
export function numTokensIn(geometry: PageGeometry, numPages: number): number {
  return numPages === 0 ? 0 : geometry.numSinkTokens + numPages * geometry.pageSize;
}

/** Units that a sequence of `numTokens` tokens takes at most, all of its pages its own. */
export function unitsOfSequence(shape: PageShape, numTokens: number): number {
  return numSealedPages(shape, numTokens) * shape.sealedUnits + shape.openUnits + shape.sinkUnits;
}

/**
 * The block table of one sequence: which pages hold its first `numTokens` tokens. Tokens are added in three steps:
 * `reserve`, then a kernel step that writes what `segment` describes, then `commit`. Sealed pages may be shared with others, since nobody
 * writes to them; so may the sink page once its tokens are there. The open page is the sequence's own.
 */
export class SequencePages {
  readonly shape: PageShape;
  readonly #pool: PagePool;
  readonly #sealedPages: number[] = [];
  #openPage: number | undefined;
  #sinkPage: number | undefined;
  #sealInto: number | undefined;
  #numTokens = 0;

  /** @param prefix pages that others have filled with the same tokens; the sequence becomes one more owner of each */
  constructor(pool: PagePool, shape: PageShape, prefix?: FullPages) {
    if ((shape.sinkUnits === 0) !== (shape.numSinkTokens === 0)) {
      throw new RangeError(
        `sink pages of ${shape.sinkUnits} units and ${shape.numSinkTokens} tokens do not go together`,
      );
    }
    this.#pool = pool;
    this.shape = shape;
    if (!prefix || prefix.sealedPages.length === 0) return;
    if ((prefix.sinkPage === undefined) !== (shape.numSinkTokens === 0)) {
      throw new PageIntegrityError('a prefix comes with its sink page where the format has one');
    }
    for (const page of prefix.sealedPages) this.#sealedPages.push(this.#retained(page));
    if (prefix.sinkPage !== undefined) this.#sinkPage = this.#retained(prefix.sinkPage);
    this.#numTokens = numTokensIn(shape, this.#sealedPages.length);
  }

  /** Tokens whose keys and values are stored. */
  get numTokens(): number {
    return this.#numTokens;
  }

  /** Ids of the sealed pages, in order of position. */
  get sealedPages(): readonly number[] {
    return this.#sealedPages;
  }

  get sinkPage(): number | undefined {
    return this.#sinkPage;
  }

  /** The page that takes the newest tokens; undefined before the first one. */
  get openPage(): number | undefined {
    return this.#openPage;
  }

  /** Tokens until the open page is full: the most that one segment can hold. Always above 0. */
  get numTokensToFull(): number {
    return numTokensIn(this.shape, this.#sealedPages.length + 1) - this.#numTokens;
  }

  /** Units that `reserve(numTokens)` would allocate. */
  unitsToReserve(numTokens: number): number {
    const { openUnits, sinkUnits, sealedUnits } = this.shape;
    const open = this.#openPage === undefined ? openUnits : 0;
    const sink = this.#sinkPage === undefined ? sinkUnits : 0;
    const needsSealInto = numTokens === this.numTokensToFull && this.#sealInto === undefined;
    return open + sink + (needsSealInto ? sealedUnits : 0);
  }

  /**
   * Gets the pages that the next `numTokens` tokens need. What it gets before it fails stays with the sequence.
   *
   * @throws KvantError OUT_OF_MEMORY if the pool has too few free units
   * @throws RangeError if the tokens do not fit into the open page
   */
  reserve(numTokens: number): void {
    this.#assertFits(numTokens);
    const { openUnits, sinkUnits, sealedUnits } = this.shape;
    this.#openPage ??= this.#pool.allocate(openUnits);
    if (sinkUnits > 0) this.#sinkPage ??= this.#pool.allocate(sinkUnits);
    if (numTokens === this.numTokensToFull) this.#sealInto ??= this.#pool.allocate(sealedUnits);
  }

  /**
   * Where the pages of a segment of the next `numTokens` tokens lie, until the next page is allocated.
   *
   * @throws PageIntegrityError if they were not reserved
   */
  segment(numTokens: number): SegmentPages {
    this.#assertReserved(numTokens);
    const placeOf = (page: number): number => this.#pool.unitOf(page);
    const isFull = numTokens === this.numTokensToFull;
    return {
      firstPosition: this.#numTokens,
      sealedPages: this.#sealedPages.map(placeOf),
      openPage: placeOf(this.#openPage as number),
      sinkPage: this.#sinkPage === undefined ? undefined : placeOf(this.#sinkPage),
      sealInto: isFull ? placeOf(this.#sealInto as number) : undefined,
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
   * Gives up a sealed page for one of the same content that others own, too.
   *
   * @param sinkPage the same for the sink page
   */
  share(index: number, page: number, sinkPage: number | undefined): void {
    this.#sealedPages[index] = this.#exchanged(this.#sealedPages[index], page);
    if (this.#sinkPage !== undefined && sinkPage !== undefined) {
      this.#sinkPage = this.#exchanged(this.#sinkPage, sinkPage);
    }
  }

  /**
   * Goes back to the first `numTokens` tokens, or to fewer: the f16 values of a sealed page are gone, so a position
   * inside one takes the sequence back to that page's start; and one inside a sink page that others own, too, to nothing.
   *
   * @returns the new number of tokens
   */
  truncate(numTokens: number): number {
    if (!Number.isInteger(numTokens) || numTokens < 0) throw new RangeError(`cannot truncate to ${numTokens} tokens`);
    const length = this.lengthAfterTruncate(numTokens);
    const numKept = numSealedPages(this.shape, length);
    for (const page of this.#sealedPages.splice(numKept)) this.#pool.release(page);
    this.#numTokens = length;
    if (length < this.shape.numSinkTokens && this.#isSinkShared()) {
      this.#pool.release(this.#sinkPage as number);
      this.#sinkPage = undefined;
    }
    return length;
  }

  /** What `truncate(numTokens)` would return. */
  lengthAfterTruncate(numTokens: number): number {
    const { pageSize, numSinkTokens } = this.shape;
    if (numTokens >= this.#numTokens) return this.#numTokens;
    if (numTokens < numSinkTokens) return this.#isSinkShared() ? 0 : numTokens;
    const openStart = numSinkTokens + this.#sealedPages.length * pageSize;
    if (numTokens >= openStart) return numTokens;
    return numTokens - ((numTokens - numSinkTokens) % pageSize);
  }

  /**
   * Another sequence of the same tokens. Sealed pages are shared, so is the sink page if it is full; the open page is copied.
   *
   * @param copyPage copies what lies behind a page, by id
   * @throws KvantError OUT_OF_MEMORY if there is no room for the copy; then nothing has changed
   */
  fork(copyPage: (from: number, to: number) => void): SequencePages {
    const { shape } = this;
    const isSinkFull = this.#numTokens >= shape.numSinkTokens;
    const copied: number[] = [];
    const copy = (page: number, numUnits: number): number => {
      const target = this.#pool.allocate(numUnits);
      copied.push(target);
      copyPage(page, target);
      return target;
    };
    const fork = new SequencePages(this.#pool, shape);
    try {
      if (this.#openPage !== undefined && this.#isOpenPageUsed())
        fork.#openPage = copy(this.#openPage, shape.openUnits);
      if (this.#sinkPage !== undefined) {
        fork.#sinkPage = isSinkFull ? this.#retained(this.#sinkPage) : copy(this.#sinkPage, shape.sinkUnits);
      }
    } catch (error) {
      for (const page of copied) this.#pool.release(page);
      throw error;
    }
    for (const page of this.#sealedPages) fork.#sealedPages.push(this.#retained(page));
    fork.#numTokens = this.#numTokens;
    return fork;
  }

  /** Gives every page back; the sequence is empty afterwards and can be used again. */
  release(): void {
    const { sealed, open, sink } = this.#all();
    for (const page of [...sealed.reverse(), ...open, ...sink]) this.#pool.release(page);
    this.#sealedPages.length = 0;
    this.#sealInto = this.#openPage = this.#sinkPage = undefined;
    this.#numTokens = 0;
  }

  /** Every page that the sequence owns, for `PagePool.check`. @throws PageIntegrityError if tokens and pages disagree */
  ownedPages(): readonly number[] {
    const numFull = numSealedPages(this.shape, this.#numTokens);
    if (numFull !== this.#sealedPages.length) {
      throw new PageIntegrityError(`${this.#numTokens} tokens fill ${numFull} pages, not ${this.#sealedPages.length}`);
    }
    const { sealed, open, sink } = this.#all();
    return [...sealed, ...open, ...sink];
  }

  #all(): { readonly sealed: number[]; readonly open: readonly number[]; readonly sink: readonly number[] } {
    const sealed = [...this.#sealedPages, ...toList(this.#sealInto)];
    return { sealed, open: toList(this.#openPage), sink: toList(this.#sinkPage) };
  }

  #isOpenPageUsed(): boolean {
    return this.#numTokens > this.shape.numSinkTokens + this.#sealedPages.length * this.shape.pageSize;
  }

  #isSinkShared(): boolean {
    return this.#sinkPage !== undefined && this.#pool.numOwnersOf(this.#sinkPage) > 1;
  }

  #retained(page: number): number {
    this.#pool.retain(page);
    return page;
  }

  #exchanged(own: number, shared: number): number {
    if (own === shared) return own;
    this.#pool.retain(shared);
    this.#pool.release(own);
    return shared;
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
