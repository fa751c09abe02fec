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

/** Windows at the largest gaps are tried. */
const MOST_GAPS_TRIED = 16;
/** A window that is to be cleared starts at a gap or so many pages before one: others hold no gap, and cost more. */
const STARTS_BEFORE_GAP: readonly number[] = [0, 1, 2, 3, 4];

/** A free extent. */
interface Gap {
  readonly unit: number;
  readonly numUnits: number;
}

/** Where a page goes. */
interface Move {
  readonly page: number;
  readonly unit: number;
}

/** Where a new page goes, once others have made room for it, in this order. */
interface Place {
  readonly unit: number;
  readonly moves: readonly Move[];
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
    const place = this.#findPlace(numUnits);
    for (const { page, unit } of place.moves) this.#move(page, unit);
    const page = this.#nextId++;
    this.#extents.set(page, { unit: place.unit, numUnits, numOwners: 1 });
    this.#order.splice(this.#indexOf(place.unit), 0, page);
    this.#numFreeUnits -= numUnits;
    return page;
  }

  /** Units that would have to be moved for a page to find its place; infinite if too few are free. */
  unitsToMove(numUnits: number): number {
    if (numUnits > this.#numFreeUnits) return Infinity;
    return this.#findPlace(numUnits).moves.reduce((total, { page }) => total + this.numUnitsOf(page), 0);
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

  /** Where a page of a size can go, and what has to move first; enough units are free. */
  #findPlace(numUnits: number): Place {
    const gaps = this.#gaps();
    const gap = smallestGap(gaps, numUnits);
    if (gap) return { unit: gap.unit, moves: [] };
    return this.#clearWindow(gaps, numUnits) ?? this.#pushTogether(gaps, numUnits);
  }

  /** Free extents by place; some may be empty: one before every page, and one behind the last. */
  #gaps(): Gap[] {
    let end = 0;
    const gaps = this.#order.map((page): Gap => {
      const { unit, numUnits } = this.#used(page, 'place');
      const gap = { unit: end, numUnits: unit - end };
      end = unit + numUnits;
      return gap;
    });
    return [...gaps, { unit: end, numUnits: this.numUnits - end }];
  }

  /** Neighbouring pages that fit into gaps elsewhere, and leave room enough: the fewest units. Undefined if there are none. */
  #clearWindow(gaps: readonly Gap[], numUnits: number): Place | undefined {
    const filled = gaps.flatMap((gap, index) => (gap.numUnits > 0 ? [{ gap, index }] : []));
    let best: { readonly place: Place; readonly cost: number } | undefined;
    const largest = [...filled].sort((a, b) => b.gap.numUnits - a.gap.numUnits).slice(0, MOST_GAPS_TRIED);
    const starts = new Set(
      largest.flatMap(({ index }) => STARTS_BEFORE_GAP.map((before) => Math.max(0, index - before))),
    );
    for (const first of starts) {
      const { unit } = gaps[first];
      const pages: number[] = [];
      let [last, cost] = [first, 0];
      while (last + 1 < gaps.length && endOf(gaps[last]) - unit < numUnits) {
        const page = this.#order[last++];
        pages.push(page);
        cost += this.numUnitsOf(page);
        if (best && cost >= best.cost) break;
      }
      if (endOf(gaps[last]) - unit < numUnits || (best && cost >= best.cost)) continue;
      const rest = filled.flatMap(({ gap, index }) => (index < first || index > last ? [gap] : []));
      const moves = this.#moveInto(rest, pages);
      if (moves) best = { place: { unit, moves }, cost };
    }
    return best?.place;
  }

  /** A place in the gaps for each page, the largest first; undefined if they do not fit. */
  #moveInto(gaps: Gap[], pages: readonly number[]): Move[] | undefined {
    const moves: Move[] = [];
    for (const page of [...pages].sort((a, b) => this.numUnitsOf(b) - this.numUnitsOf(a))) {
      const numUnits = this.numUnitsOf(page);
      const gap = smallestGap(gaps, numUnits);
      if (!gap) return undefined;
      moves.push({ page, unit: gap.unit });
      gaps[gaps.indexOf(gap)] = { unit: gap.unit + numUnits, numUnits: gap.numUnits - numUnits };
    }
    return moves;
  }

  /** Pushes a run of pages together towards the start: the run of the fewest units whose gaps add up to enough. */
  #pushTogether(gaps: readonly Gap[], numUnits: number): Place {
    const { first, last } = this.#cheapestRun(gaps, numUnits);
    let { unit } = gaps[first];
    const moves = this.#order.slice(first, last).map((page): Move => {
      const move = { page, unit };
      unit += this.numUnitsOf(page);
      return move;
    });
    return { unit, moves };
  }

  /** The pages [first, last) whose gaps, those before each and the one behind the last, add up to enough. */
  #cheapestRun(gaps: readonly Gap[], numUnits: number): { readonly first: number; readonly last: number } {
    let best: { first: number; last: number; moved: number } | undefined;
    let [first, gapUnits, moved] = [0, 0, 0];
    for (let last = 0; last < gaps.length; last++) {
      gapUnits += gaps[last].numUnits;
      if (last > 0) moved += this.numUnitsOf(this.#order[last - 1]);
      while (gapUnits - gaps[first].numUnits >= numUnits) {
        gapUnits -= gaps[first].numUnits;
        moved -= this.numUnitsOf(this.#order[first]);
        first++;
      }
      if (gapUnits >= numUnits && (!best || moved < best.moved)) best = { first, last, moved };
    }
    return best ?? fail(`no gaps add up to ${numUnits} units, though ${this.#numFreeUnits} are free`);
  }

  #move(page: number, unit: number): void {
    const extent = this.#used(page, 'move');
    if (extent.unit === unit) return;
    this.#copyUnits(extent.unit, unit, extent.numUnits);
    this.#order.splice(this.#indexOf(extent.unit), 1);
    extent.unit = unit;
    this.#order.splice(this.#indexOf(unit), 0, page);
  }
}

function smallestGap(gaps: readonly Gap[], numUnits: number): Gap | undefined {
  let best: Gap | undefined;
  for (const gap of gaps) {
    if (gap.numUnits >= numUnits && (!best || gap.numUnits < best.numUnits)) best = gap;
  }
  return best;
}

function endOf({ unit, numUnits }: Gap): number {
  return unit + numUnits;
}

function fail(sum: string): never {
  throw new PageIntegrityError(`pages: ${sum}`);
}
