import { PAGE_UNIT_BYTES, type PageLayout } from '../cache/page-layout.ts';
import type { PageArena, PageMemory } from './kernels.ts';

/** Rules of arenas, for all backends. */

/** @throws RangeError if bytes are not whole units */
export function unitsOf(numBytes: number, what: string): number {
  const numUnits = numBytes / PAGE_UNIT_BYTES;
  if (!isCount(numUnits)) throw new RangeError(`${what}: ${numBytes} bytes are not whole units of ${PAGE_UNIT_BYTES}`);
  return numUnits;
}

/** The handle of a layout's pages in an arena. @throws RangeError if a page is not whole units */
export function arenaPageMemory(arena: PageArena, layout: PageLayout): PageMemory {
  const numPages = Math.max(0, arena.numUnits - unitsOf(layout.pageBytes, 'a page') + 1);
  return { layout, numPages, arena } as PageMemory;
}

/** @throws RangeError if a range that is to be copied leaves the arena */
export function checkCopy({ numUnits }: PageArena, fromUnit: number, toUnit: number, count: number): void {
  const fits = (first: number): boolean => isCount(first) && isCount(count) && first + count <= numUnits;
  if (fits(fromUnit) && fits(toUnit)) return;
  throw new RangeError(`${count} units from ${fromUnit} to ${toUnit} do not lie in an arena of ${numUnits}`);
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}
