import { describePeerSetting } from '../bench/peer-protocol.ts';
import { settingOfRatio, type AgainstRow, type KvantRow, type RatioRow } from '../bench/speed-report.ts';
import { formatCount, formatFixed } from './format.ts';

/** A column: its heading and what stands below it. */
export interface Column<Row> {
  readonly heading: string;
  readonly cell: (row: Row) => string;
  readonly width?: number;
}

const WIDTH = 14;
const WIDE = 18;
const WIDEST = 24;

/** A line of headings. */
export function headingLine<Row>(columns: readonly Column<Row>[]): string {
  return tableLine(columns, ({ heading }) => heading);
}

export function rowLine<Row>(columns: readonly Column<Row>[], row: Row): string {
  return tableLine(columns, ({ cell }) => cell(row));
}

function tableLine<Row>(columns: readonly Column<Row>[], textOf: (column: Column<Row>) => string): string {
  const cells = columns.map((column) => textOf(column).padStart(column.width ?? WIDTH));
  return `${cells.join('').trimEnd()}\n`;
}

/** A row of ours, with the comparison where there is one. */
export interface SpeedTableRow {
  readonly ours: KvantRow;
  readonly against?: AgainstRow | undefined;
}

export interface SpeedColumnOptions {
  readonly prefill: boolean;
  readonly decode: boolean;
  /** Types of the peer's cache, where there is a peer. */
  readonly peerTypes?: readonly string[] | undefined;
}

export function speedColumns({ prefill, decode, peerTypes }: SpeedColumnOptions): Column<SpeedTableRow>[] {
  const columns: Column<SpeedTableRow>[] = [
    { heading: 'kv', cell: ({ ours }) => ours.kv },
    { heading: 'prompt', cell: ({ ours }) => formatCount(ours.prompt_tokens) },
  ];
  if (prefill) {
    columns.push({ heading: 'prefill tok/s', cell: ({ ours }) => formatFixed(ours.prefill_tps, 1) });
    for (const type of peerTypes ?? []) columns.push(peerPrefill(type));
  }
  if (decode) {
    columns.push({ heading: 'decode tok/s', cell: ({ ours }) => rateOrDash(ours.decode_tps) });
    if (peerTypes) columns.push(...PEER_DECODE);
  }
  return peerTypes ? columns : [...columns, ...CACHE_COLUMNS];
}

const CACHE_COLUMNS: readonly Column<SpeedTableRow>[] = [
  { heading: 'bits/element', cell: ({ ours }) => formatFixed(ours.bits_per_element, 2) },
  { heading: 'cache MB', cell: ({ ours }) => formatFixed(ours.bytes / 1e6, 1) },
  { heading: 'load ms', cell: ({ ours }) => formatCount(ours.load_ms) },
];

const PEER_DECODE: readonly Column<SpeedTableRow>[] = [
  { heading: "peer's best", width: WIDE, cell: ({ against }) => ratioCell(against?.decode) },
  { heading: 'peer with', width: WIDEST, cell: ({ against }) => settingCell(against?.decode) },
];

function peerPrefill(type: string): Column<SpeedTableRow> {
  return {
    heading: `peer ${type}`,
    width: WIDE,
    cell: ({ against }) => ratioCell(against?.prefill.find(({ peer_kv }) => peer_kv === type)),
  };
}

/** The peer's rate, and how many times as fast we are. */
function ratioCell(row: RatioRow | null | undefined): string {
  return row ? `${formatFixed(row.peer_tps, 1)} (${formatFixed(row.ratio, 2)}x)` : '-';
}

function settingCell(row: RatioRow | null | undefined): string {
  return row ? describePeerSetting(settingOfRatio(row)) : '-';
}

function rateOrDash(rate: number | null): string {
  return rate === null ? '-' : formatFixed(rate, 1);
}
