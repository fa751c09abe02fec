import { headingLine, rowLine, type Column } from './bench-table.ts';
import { formatCount, formatFixed } from './format.ts';

/** A variant at a length and a depth, as `--json` prints it. */
export interface NeedleCellRow {
  readonly variant: string;
  /** Tokens of context. */
  readonly length: number;
  /** Share of the text before the needle. */
  readonly depth: number;
  readonly trials: number;
  readonly right: number;
  /** Of the right answer: mean over the trials. */
  readonly log_prob: number;
  /** That less f16's. */
  readonly log_prob_change: number;
}

/** A format, as `--json` prints it. */
export interface NeedleFormatRow {
  readonly kv: string;
  readonly bits_per_element: number;
  /** Values asked for, and those that the greedy answers have. */
  readonly asked: number;
  readonly right: number;
  readonly log_prob: number;
  readonly log_prob_change: number;
  readonly cells: readonly NeedleCellRow[];
  readonly answers: readonly {
    readonly variant: string;
    readonly length: number;
    readonly depth: number;
    readonly value: string;
    readonly answer: string;
    readonly right: boolean;
    readonly log_prob: number;
  }[];
}

/** A line of the table: a variant at a length, with a cell for each depth. */
interface TableRow {
  readonly variant: string;
  readonly length: number;
  readonly cells: readonly NeedleCellRow[];
}

/** The table of one format: a line for each variant and length, a column for each depth. */
export function needleTable(
  row: NeedleFormatRow,
  { depths, isReference }: { readonly depths: readonly number[]; readonly isReference: boolean },
): string {
  const columns: Column<TableRow>[] = [
    { heading: 'variant', width: 12, cell: ({ variant }) => variant },
    { heading: 'tokens', width: 8, cell: ({ length }) => formatCount(length) },
    ...depths.map((depth) => ({
      heading: `${formatFixed(100 * depth, 0)}%`,
      width: 15,
      cell: ({ cells }: TableRow) =>
        cellText(
          cells.find((cell) => cell.depth === depth),
          isReference,
        ),
    })),
  ];
  const logProb = isReference
    ? `log-probability of the right answer ${formatFixed(row.log_prob, 3)}`
    : `log-probability of the right answer ${signed(row.log_prob_change, 3)} from f16`;
  const title = `${row.kv} · ${formatFixed(row.bits_per_element, 2)} bits/element · ${row.right} of ${row.asked} right · ${logProb}`;
  return `\n${title}\n${headingLine(columns)}${tableRows(row.cells)
    .map((line) => rowLine(columns, line))
    .join('')}`;
}

function tableRows(cells: readonly NeedleCellRow[]): TableRow[] {
  const rows = new Map<string, TableRow & { readonly cells: NeedleCellRow[] }>();
  for (const cell of cells) {
    const key = `${cell.variant} ${cell.length}`;
    const row = rows.get(key);
    if (row) row.cells.push(cell);
    else rows.set(key, { variant: cell.variant, length: cell.length, cells: [cell] });
  }
  return [...rows.values()];
}

function cellText(cell: NeedleCellRow | undefined, isReference: boolean): string {
  if (!cell) return '-';
  const { right, trials, log_prob, log_prob_change } = cell;
  return `${right}/${trials} ${isReference ? formatFixed(log_prob, 2) : signed(log_prob_change, 2)}`;
}

/** `+0.02` */
function signed(value: number, decimals: number): string {
  const text = formatFixed(value, decimals);
  return text.startsWith('-') ? text : `+${text}`;
}
