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

/** Share of a cell that its square takes, and the mark in the middle of a shared one. */
const SQUARE = 0.8;
const MARK = 0.28;

/** Free squares are drawn up to so many in all, or up to half as many again as there are pages: more of them would say no more. */
const LEAST_SQUARES = 96;
const SQUARES_FOR_PAGES = 1.5;

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
  /** Marks on shared pages. */
  readonly markPath: string;
}

/** @param numFree pages for which there is room yet; some are drawn after the others */
export function layOutSquares(pages: readonly StripPage[], numFree: number): SquareLayout {
  const { columns, total } = sizeOf(pages.length, numFree);
  const shapes = new Map<string, { bits: ColouredBits; state: PageState; path: string }>();
  let [freePath, markPath] = ['', ''];
  pages.forEach(({ bits, state }, index) => {
    const coloured = nearestBits(bits);
    const key = `${coloured} ${state}`;
    const shape = shapes.get(key) ?? { bits: coloured, state, path: '' };
    shape.path += squareAt(index, columns, SQUARE);
    shapes.set(key, shape);
    if (state === 'shared') markPath += squareAt(index, columns, MARK);
  });
  for (let index = pages.length; index < total; index++) freePath += squareAt(index, columns, SQUARE);
  const rows = Math.max(1, Math.ceil(total / columns));
  return { columns, rows, shapes: [...shapes.values()], freePath, markPath };
}

/** Columns, and squares in all: whole rows where there is room for so many pages. */
function sizeOf(numPages: number, numFree: number): { readonly columns: number; readonly total: number } {
  const most = numPages + numFree;
  const wanted = Math.min(most, Math.max(LEAST_SQUARES, Math.ceil(numPages * SQUARES_FOR_PAGES)));
  const { columns } = COLUMNS.find(({ upTo }) => wanted <= upTo) ?? COLUMNS[0];
  return { columns, total: Math.min(most, Math.ceil(wanted / columns) * columns) };
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

function squareAt(index: number, columns: number, size: number): string {
  const inset = (1 - size) / 2;
  const x = (index % columns) + inset;
  const y = Math.floor(index / columns) + inset;
  return `M${x.toFixed(2)} ${y.toFixed(2)}h${size}v${size}h-${size}z`;
}
