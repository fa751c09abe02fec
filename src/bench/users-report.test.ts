import assert from 'node:assert/strict';
import { test } from 'node:test';
import { percentileOf, usersAgainstRow, usersRow, type UsersRow } from './users-report.ts';
import type { UsersRun } from './users-task.ts';

const SIZE = { numUsers: 2, numSharedTokens: 10, numOwnTokens: 5, numNewTokens: 4 };

function run(wallMs: number, ...ttftMs: readonly number[]): UsersRun {
  return { wallMs, users: ttftMs.map((ms) => ({ ttftMs: ms, numNewTokens: 4 })) };
}

function rowOf(kv: string, wallMs: number): UsersRow {
  return usersRow({ kv, threads: 2, batchTokens: 512 }, SIZE, [run(wallMs, 1, 1)]);
}

test('a row has the fastest run, and rates of all of them', () => {
  const one = usersRow({ kv: 'q4', threads: 2 }, { ...SIZE, numUsers: 1 }, [run(40, 5)]);
  assert.equal(one.ratio_to_one_user, 1);
  assert.deepEqual(usersRow({ kv: 'q4', threads: 2 }, SIZE, [run(100, 20, 30), run(50, 8, 10)], one), {
    kv: 'q4',
    threads: 2,
    users: 2,
    wall_ms: 50,
    wall_ms_runs: [100, 50],
    generated_tps: 160,
    generated_tps_median: 120,
    generated_tps_runs: [80, 160],
    all_tps: 760,
    ttft_ms_mean: 9,
    ttft_ms_p50: 8,
    ttft_ms_p99: 10,
    ratio_to_one_user: 1.6,
  });
  assert.equal(rowOf('q4', 50).ratio_to_one_user, null);
});

test('runs that served somebody less than asked for are no row', () => {
  const setting = { kv: 'q4', threads: 2 };
  const short = { wallMs: 1, users: [run(1, 1).users[0], { ttftMs: 1, numNewTokens: 3 }] };
  assert.throws(() => usersRow(setting, SIZE, [short]), /a user got 3 tokens instead of 4/);
  assert.throws(() => usersRow(setting, SIZE, [run(1, 1)]), /1 users were served instead of 2/);
  assert.throws(() => usersRow(setting, SIZE, []), RangeError);
});

test('ours is compared with the fastest setting of the peer', () => {
  const against = usersAgainstRow(rowOf('q4', 50), [rowOf('Q8_0', 200), rowOf('F16', 100)]);
  const peer = { kv: 'F16', threads: 2, batchTokens: 512 };
  assert.deepEqual(against, { kv: 'q4', users: 2, peer, peer_tps: 80, ratio: 2 });
  assert.equal(usersAgainstRow(rowOf('q4', 50), []), undefined);
});

test('a percentile is the nearest rank', () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i);
  assert.deepEqual(
    [0, 1, 50, 99, 100].map((percent) => percentileOf(values, percent)),
    [1, 2, 100, 198, 200],
  );
  assert.equal(percentileOf([7], 99), 7);
  assert.throws(() => percentileOf([], 50), RangeError);
});
