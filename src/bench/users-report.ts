import { bestOf, medianOf } from './peer-comparison.ts';
import { settingOf, type PeerSetting } from './peer-protocol.ts';
import type { UsersRun, UsersTaskSize } from './users-task.ts';

const MS_PER_SECOND = 1000;

/** What a number of users got, as `--json` prints it. Times are those of the best run: the one with the shortest wall time. */
export interface UsersRow extends PeerSetting {
  readonly users: number;
  readonly wall_ms: number;
  readonly wall_ms_runs: readonly number[];
  /** Generated tokens of all users per second of wall time: best run, median, every run. */
  readonly generated_tps: number;
  readonly generated_tps_median: number;
  readonly generated_tps_runs: readonly number[];
  /** The same with all tokens of all prompts, the shared ones counted for every user. */
  readonly all_tps: number;
  /** From the moment when all asked to a user's first token; over users. */
  readonly ttft_ms_mean: number;
  readonly ttft_ms_p50: number;
  readonly ttft_ms_p99: number;
  /** Generated tokens per second by those of one user alone; null where one user was not measured. */
  readonly ratio_to_one_user: number | null;
}

/** Ours beside the peer's fastest setting with as many users. */
export interface UsersAgainstRow {
  readonly kv: string;
  readonly users: number;
  readonly peer: PeerSetting;
  readonly peer_tps: number;
  readonly ratio: number;
}

/**
 * @param one the row of the same setting with one user
 * @throws RangeError without runs, or where a user got another number of tokens than asked for
 */
export function usersRow(
  setting: PeerSetting,
  size: UsersTaskSize,
  runs: readonly UsersRun[],
  one?: UsersRow,
): UsersRow {
  const rates = runs.map((run) => generatedTps(size, run));
  const [best, median] = [bestOf(rates), medianOf(rates)];
  if (best === undefined || median === undefined) throw new RangeError('a row of no runs');
  const { wallMs, users } = runs[rates.indexOf(best)];
  const numTokens = size.numUsers * (size.numSharedTokens + size.numOwnTokens + size.numNewTokens);
  const ttftMs = users.map((user) => user.ttftMs);
  const single = size.numUsers === 1 ? best : one?.generated_tps;
  return {
    ...setting,
    users: size.numUsers,
    wall_ms: wallMs,
    wall_ms_runs: runs.map((run) => run.wallMs),
    generated_tps: best,
    generated_tps_median: median,
    generated_tps_runs: rates,
    all_tps: (numTokens * MS_PER_SECOND) / wallMs,
    ttft_ms_mean: ttftMs.reduce((sum, ms) => sum + ms, 0) / ttftMs.length,
    ttft_ms_p50: percentileOf(ttftMs, 50),
    ttft_ms_p99: percentileOf(ttftMs, 99),
    ratio_to_one_user: single === undefined ? null : best / single,
  };
}

/** @param peers all with as many users as `ours`; undefined of none */
export function usersAgainstRow(ours: UsersRow, peers: readonly UsersRow[]): UsersAgainstRow | undefined {
  const fastest = [...peers].sort((a, b) => b.generated_tps - a.generated_tps).at(0);
  if (fastest === undefined) return undefined;
  const { generated_tps: peerTps } = fastest;
  const ratio = ours.generated_tps / peerTps;
  return { kv: ours.kv, users: ours.users, peer: settingOf(fastest), peer_tps: peerTps, ratio };
}

/**
 * The smallest value that is at least as large as `percent` percent of all (nearest rank): always one that was measured.
 *
 * @throws RangeError without values
 */
export function percentileOf(values: readonly number[], percent: number): number {
  if (values.length === 0) throw new RangeError('a percentile of no values');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

function generatedTps({ numUsers, numNewTokens }: UsersTaskSize, { wallMs, users }: UsersRun): number {
  if (users.length !== numUsers) throw new RangeError(`${users.length} users were served instead of ${numUsers}`);
  const short = users.find((user) => user.numNewTokens !== numNewTokens);
  if (short) throw new RangeError(`a user got ${short.numNewTokens} tokens instead of ${numNewTokens}`);
  return (numUsers * numNewTokens * MS_PER_SECOND) / wallMs;
}
