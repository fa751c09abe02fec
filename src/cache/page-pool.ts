import { KvantError } from '../errors.ts';

/** A page table that contradicts itself: a bug in the caller, never the user's fault. */
export class PageIntegrityError extends Error {
  override readonly name = 'PageIntegrityError';
}

/**
 * Hands out the page indices [0, numPages) of one layout and counts how many owners each has. It knows nothing of the
 * bytes behind an index. The least recently freed page comes first, so that a stale index shows up late rather than
 * never.
 */
export class PagePool {
  readonly name: string;
  readonly numPages: number;
  readonly #freePages: number[];
  readonly #refCounts: Uint32Array;

  /** @param name for messages, for instance `sealed` */
  constructor(name: string, numPages: number) {
    if (!Number.isInteger(numPages) || numPages < 0) throw new RangeError(`${name} pages: ${numPages} is not a count`);
    this.name = name;
    this.numPages = numPages;
    this.#freePages = Array.from({ length: numPages }, (_, page) => page);
    this.#refCounts = new Uint32Array(numPages);
  }

  get numFree(): number {
    return this.#freePages.length;
  }

  /** Gives a page to its first owner. @throws KvantError OUT_OF_MEMORY if none is free */
  allocate(): number {
    const page = this.#freePages.shift();
    if (page === undefined) {
      throw new KvantError('OUT_OF_MEMORY', `all ${this.numPages} ${this.name} pages are in use: end a sequence first`);
    }
    this.#refCounts[page] = 1;
    return page;
  }

  /** Adds an owner. @throws PageIntegrityError if nobody owns the page */
  retain(page: number): void {
    this.#assertUsed(page, 'retain');
    this.#refCounts[page]++;
  }

  /** Takes an owner away; a page without one is free. @throws PageIntegrityError if nobody owns the page */
  release(page: number): void {
    this.#assertUsed(page, 'release');
    this.#refCounts[page]--;
    if (this.#refCounts[page] === 0) this.#freePages.push(page);
  }

  /**
   * Compares the pool with what its owners say they own.
   *
   * @param ownedPages the pages of all owners, a page as many times as it has owners
   * @throws PageIntegrityError with the sum that fails
   */
  check(ownedPages: Iterable<number>): void {
    const numUsed = this.#refCounts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
    if (this.numFree + numUsed !== this.numPages) {
      this.#fail(`${this.numFree} free + ${numUsed} used != ${this.numPages} in total`);
    }
    const freePages = new Set(this.#freePages);
    if (freePages.size !== this.numFree) this.#fail(`${this.numFree} free, but only ${freePages.size} different ones`);
    for (const page of freePages) {
      if (this.#refCounts[page] > 0) this.#fail(`page ${page} is free and has ${this.#refCounts[page]} owners`);
    }
    const numOwners = new Uint32Array(this.numPages);
    for (const page of ownedPages) {
      if (!(page < this.numPages)) this.#fail(`page ${page} is owned, but there are only ${this.numPages}`);
      numOwners[page]++;
    }
    for (let page = 0; page < this.numPages; page++) {
      if (numOwners[page] === this.#refCounts[page]) continue;
      this.#fail(`page ${page} counts ${this.#refCounts[page]} owners, but ${numOwners[page]} own it`);
    }
  }

  #assertUsed(page: number, operation: string): void {
    if (!(this.#refCounts[page] > 0)) this.#fail(`${operation} of page ${page}, which nobody owns`);
  }

  #fail(sum: string): never {
    throw new PageIntegrityError(`${this.name} pages: ${sum}`);
  }
}
