import type { PageState, StripPage } from '../api/cache-status.ts';

/** How pages are drawn: as squares in rows, whose outlines are put together by colour and state so that thousands are a handful of shapes. */

/** Bits that have a colour of their own; pages in between take the nearest. */
export const COLOURED_BITS = [16, 8, 6, 5, 4, 3, 2, 1] as const;

export type ColouredBits = (typeof COLOURED_BITS)[number];

/** Columns of the strip, and up to how many squares each makes for. */
const COLUMNS = [
  { columns: 16, upTo: 96 },
  { columns: 24, upTo: 288 },
  { columns: 32, upTo: 768 },
  { columns: 48, upTo: 1536 },
  { columns: 64, upTo: Infinity },
];

/** Share of a cell that its square takes. */
const SQUARE = 0.82;

/** Squares that look the same, as one path over cells of size 1. */
export interface SquareShape {
  readonly bits: ColouredBits;
  readonly state: PageState;
  readonly path: string;
}

export interface SquareLayout {
  readonly columns: number;
  readonly rows: number;
  readonly shapes: readonly SquareShape[];
  readonly freePath: string;
}

/** @param numFree pages for which there is room yet, drawn after the others */
export function layOutSquares(pages: readonly StripPage[], numFree: number): SquareLayout {
  const total = pages.length + numFree;
  const columns = (COLUMNS.find(({ upTo }) => total <= upTo) ?? COLUMNS[0]).columns;
  const shapes = new Map<string, { bits: ColouredBits; state: PageState; path: string }>();
  pages.forEach(({ bits, state }, index) => {
    const coloured = nearestBits(bits);
    const key = `${coloured} ${state}`;
    const shape = shapes.get(key) ?? { bits: coloured, state, path: '' };
    shape.path += squareAt(index, columns);
    shapes.set(key, shape);
  });
  let freePath = '';
  for (let index = pages.length; index < total; index++) freePath += squareAt(index, columns);
  return { columns, rows: Math.max(1, Math.ceil(total / columns)), shapes: [...shapes.values()], freePath };
}

/** Index of the square at a point, in cells from the upper left corner. */
export function squareIndex(x: number, y: number, columns: number): number {
  return Math.floor(y) * columns + Math.min(columns - 1, Math.floor(x));
}

/** The bits whose colour a page gets. Metadata does not count: 4.34 bits are 4. */
export function nearestBits(bits: number): ColouredBits {
  return COLOURED_BITS.reduce((best, candidate) =>
    Math.abs(candidate - bits) < Math.abs(best - bits) ? candidate : best,
  );
}

function squareAt(index: number, columns: number): string {
  const inset = (1 - SQUARE) / 2;
  const x = (index % columns) + inset;
  const y = Math.floor(index / columns) + inset;
  return `M${x.toFixed(2)} ${y.toFixed(2)}h${SQUARE}v${SQUARE}h-${SQUARE}z`;
}
