import { describePeerSetting } from '../bench/peer-protocol.ts';
import type { UsersAgainstRow, UsersRow } from '../bench/users-report.ts';
import type { Column } from './bench-table.ts';
import { formatCount, formatFixed } from './format.ts';

/** A row of ours, with the comparison where there is one. */
export interface UsersTableRow {
  readonly ours: UsersRow;
  readonly against?: UsersAgainstRow | undefined;
}

const OWN_COLUMNS: readonly Column<UsersTableRow>[] = [
  { heading: 'users', width: 7, cell: ({ ours }) => formatCount(ours.users) },
  { heading: 'kv', width: 8, cell: ({ ours }) => ours.kv },
  { heading: 'seconds', width: 10, cell: ({ ours }) => formatFixed(ours.wall_ms / 1000, 2) },
  { heading: 'new tok/s', width: 11, cell: ({ ours }) => formatFixed(ours.generated_tps, 1) },
  { heading: 'of 1 user', width: 11, cell: ({ ours }) => timesOrDash(ours.ratio_to_one_user) },
  { heading: 'all tok/s', width: 11, cell: ({ ours }) => formatFixed(ours.all_tps, 1) },
  { heading: 'first token ms', width: 16, cell: ({ ours }) => formatCount(ours.ttft_ms_mean) },
  { heading: 'p50', width: 8, cell: ({ ours }) => formatCount(ours.ttft_ms_p50) },
  { heading: 'p99', width: 8, cell: ({ ours }) => formatCount(ours.ttft_ms_p99) },
];

const PEER_COLUMNS: readonly Column<UsersTableRow>[] = [
  {
    heading: "peer's best",
    width: 18,
    cell: ({ against }) => (against ? `${formatFixed(against.peer_tps, 1)} (${formatFixed(against.ratio, 2)}x)` : '-'),
  },
  {
    heading: 'peer with',
    width: 34,
    cell: ({ against }) => (against ? describePeerSetting(against.peer) : '-'),
  },
];

export function usersColumns(hasPeer: boolean): readonly Column<UsersTableRow>[] {
  return hasPeer ? [...OWN_COLUMNS, ...PEER_COLUMNS] : OWN_COLUMNS;
}

function timesOrDash(ratio: number | null): string {
  return ratio === null ? '-' : `${formatFixed(ratio, 2)}x`;
}
