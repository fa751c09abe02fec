import { KvantError } from '../errors.ts';

/** A page table that contradicts itself: a bug in the caller, never the user's fault. */
export class PageIntegrityError extends Error {
  override readonly name = 'PageIntegrityError';
}

/** Moves bytes within the arena; areas may overlap. All counts are in units. */
export type CopyUnits = (fromUnit: number, toUnit: number, numUnits: number) => void;

interface Extent {
  unit: number;
  readonly numUnits: number;
  numOwners: number;
}

/**
 * Hands out extents of one arena as pages of any size, and counts how many owners each page has. A page is known by an id that is never
 * given twice; where it lies can change whenever another page is allocated, since pages of several sizes leave holes that only moving
 * them can join. With pages of one size nothing ever moves.
 */
export class PagePool {
  readonly numUnits: number;
  readonly #copyUnits: CopyUnits;
  readonly #extents = new Map<number, Extent>();
  /** Ids by place. */
  readonly #order: number[] = [];
  #numFreeUnits: number;
  #nextId = 0;

  /**
   * @param numUnits size of the arena
   * @param copyUnits moves pages; where it is absent nothing lies behind the pages
   */
  constructor(numUnits: number, copyUnits: CopyUnits = () => undefined) {
    if (!Number.isInteger(numUnits) || numUnits < 0) throw new RangeError(`${numUnits} is not a count of units`);
    this.numUnits = numUnits;
    this.#copyUnits = copyUnits;
    this.#numFreeUnits = numUnits;
  }

  get numFreeUnits(): number {
    return this.#numFreeUnits;
  }

  get numPages(): number {
    return this.#extents.size;
  }

  /**
   * Gives a page to its first owner.
   *
   * @returns its id
   * @throws KvantError OUT_OF_MEMORY if too few units are free
   */
  allocate(numUnits: number): number {
    if (!Number.isInteger(numUnits) || numUnits < 1) throw new RangeError(`a page of ${numUnits} units`);
    if (numUnits > this.#numFreeUnits) {
      const sizes = `a page of ${numUnits} units does not fit into the ${this.#numFreeUnits} of ${this.numUnits}`;
      throw new KvantError('OUT_OF_MEMORY', `the KV cache is full: ${sizes} that are free; end a sequence first`);
    }
    const { index, unit } = this.#smallestGap(numUnits) ?? this.#joinGaps(numUnits);
    const page = this.#nextId++;
    this.#extents.set(page, { unit, numUnits, numOwners: 1 });
    this.#order.splice(index, 0, page);
    this.#numFreeUnits -= numUnits;
    return page;
  }

  /** Adds an owner. @throws PageIntegrityError if nobody owns the page */
  retain(page: number): void {
    this.#used(page, 'retain').numOwners++;
  }

  /** Takes an owner away; a page without one is free. @throws PageIntegrityError if nobody owns the page */
  release(page: number): void {
    const extent = this.#used(page, 'release');
    extent.numOwners--;
    if (extent.numOwners > 0) return;
    this.#order.splice(this.#indexOf(extent.unit), 1);
    this.#extents.delete(page);
    this.#numFreeUnits += extent.numUnits;
  }

  /** Where a page lies until the next allocation. @throws PageIntegrityError if nobody owns it */
  unitOf(page: number): number {
    return this.#used(page, 'place').unit;
  }

  numUnitsOf(page: number): number {
    return this.#used(page, 'size').numUnits;
  }

  numOwnersOf(page: number): number {
    return this.#used(page, 'owners').numOwners;
  }

  /**
   * Compares the pool with what its owners say they own.
   *
   * @param ownedPages the pages of all owners, a page as many times as it has owners
   * @throws PageIntegrityError with the sum that fails
   */
  check(ownedPages: Iterable<number>): void {
    const numOwners = new Map<number, number>();
    for (const page of ownedPages) numOwners.set(page, (numOwners.get(page) ?? 0) + 1);
    for (const [page, { numOwners: counted }] of this.#extents) {
      const found = numOwners.get(page) ?? 0;
      if (found !== counted) fail(`page ${page} counts ${counted} owners, but ${found} own it`);
      numOwners.delete(page);
    }
    for (const [page, found] of numOwners) fail(`page ${page} counts 0 owners, but ${found} own it`);
    this.#checkPlaces();
  }

  #checkPlaces(): void {
    let [end, numUsed] = [0, 0];
    for (const page of this.#order) {
      const { unit, numUnits } = this.#used(page, 'check');
      if (unit < end) fail(`page ${page} starts at unit ${unit}, before the end ${end} of the page before it`);
      end = unit + numUnits;
      numUsed += numUnits;
    }
    if (end > this.numUnits) fail(`pages end at unit ${end}, beyond the arena's ${this.numUnits}`);
    if (this.#order.length !== this.#extents.size) fail(`${this.#order.length} places of ${this.#extents.size} pages`);
    if (numUsed + this.#numFreeUnits !== this.numUnits) {
      fail(`${this.#numFreeUnits} free units + ${numUsed} used != ${this.numUnits} in total`);
    }
  }

  #used(page: number, operation: string): Extent {
    const extent = this.#extents.get(page);
    return extent ?? fail(`${operation} of page ${page}, which nobody owns`);
  }

  /** Index in `#order` of the page at a unit, or of the first one behind it. */
  #indexOf(unit: number): number {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#used(this.#order[middle], 'place').unit < unit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where a page fits and leaves least behind; undefined if it fits nowhere as pages lie. */
  #smallestGap(numUnits: number): { readonly index: number; readonly unit: number } | undefined {
    let best: { index: number; unit: number; size: number } | undefined;
    let end = 0;
    for (let index = 0; index <= this.#order.length; index++) {
      const next = this.#extentAt(index);
      const size = next.unit - end;
      if (size >= numUnits && (!best || size < best.size)) best = { index, unit: end, size };
      if (size === numUnits) break;
      end = next.unit + next.numUnits;
    }
    return best;
  }

  /** The page at a place in the order; behind the last one the end of the arena, as a page without units. */
  #extentAt(index: number): Extent {
    if (index === this.#order.length) return { unit: this.numUnits, numUnits: 0, numOwners: 0 };
    return this.#used(this.#order[index], 'place');
  }

  /** Moves as few units as possible to make a gap: a run of pages is pushed together towards the start. */
  #joinGaps(numUnits: number): { readonly index: number; readonly unit: number } {
    const { first, last } = this.#cheapestRun(numUnits);
    let end = first === 0 ? 0 : endOf(this.#extentAt(first - 1));
    for (let index = first; index < last; index++) {
      const extent = this.#extentAt(index);
      if (extent.unit !== end) this.#copyUnits(extent.unit, end, extent.numUnits);
      extent.unit = end;
      end += extent.numUnits;
    }
    return { index: last, unit: end };
  }

  /** The pages [first, last) whose gaps, those before each and the one behind the last, add up to enough: the run of the fewest units. */
  #cheapestRun(numUnits: number): { readonly first: number; readonly last: number } {
    const gaps: number[] = [];
    let end = 0;
    for (let index = 0; index <= this.#order.length; index++) {
      const next = this.#extentAt(index);
      gaps.push(next.unit - end);
      end = endOf(next);
    }
    let best: { first: number; last: number; moved: number } | undefined;
    let [first, gapUnits, moved] = [0, 0, 0];
    for (let last = 0; last < gaps.length; last++) {
      gapUnits += gaps[last];
      if (last > 0) moved += this.#extentAt(last - 1).numUnits;
      while (gapUnits - gaps[first] >= numUnits) {
        gapUnits -= gaps[first];
        moved -= this.#extentAt(first).numUnits;
        first++;
      }
      if (gapUnits >= numUnits && (!best || moved < best.moved)) best = { first, last, moved };
    }
    return best ?? fail(`no gaps add up to ${numUnits} units, though ${this.#numFreeUnits} are free`);
  }
}

function endOf({ unit, numUnits }: Extent): number {
  return unit + numUnits;
}

function fail(sum: string): never {
  throw new PageIntegrityError(`pages: ${sum}`);
}
