import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { load } from '../engine/load-node.ts';
import type { Peer } from './bench-peers.ts';
import { measureInSession } from './bench-session.ts';
import { benchUsers, type UsersOptions, type UsersSection } from './bench-users.ts';
import { FakeContext } from './testing/fake-context.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const ARGS = ['bench', 'users', '--model', TINY_MODEL, '--threads', '1', '--runs', '2', '--in', '8', '--out', '5'];

test('bench users serves all users at once, after a shared prefix, and relates them to one user', async () => {
  const args = [...ARGS, '--users', '1,3', '--shared', '70', '--kv', 'f16,q4', '--json'];
  const run = await runCli(args);
  assert.equal(run.stderr, '');
  const { users, settings, model, backend, ...rest } = JSON.parse(run.stdout) as UsersSection;
  assert.deepEqual([model, backend.threads, Object.keys(rest)], ['kvant-tiny-llama-d64', 1, ['node', 'machine']]);
  assert.deepEqual(settings, { runs: 2, shared_tokens: 70, own_tokens: 8, new_tokens: 5 });
  const cells = users.map((row) => `${row.users} ${row.kv} ${row.wall_ms_runs.length}`);
  assert.deepEqual(cells, ['1 f16 2', '1 q4 2', '3 f16 2', '3 q4 2']);
  for (const row of users) {
    assert.equal(row.wall_ms, Math.min(...row.wall_ms_runs));
    assert.ok(Math.abs(row.all_tps / row.generated_tps - 83 / 5) < 1e-9);
    assert.ok(row.ttft_ms_p50 > 0 && row.ttft_ms_p50 <= row.ttft_ms_p99 && row.ttft_ms_p99 <= row.wall_ms);
    const one = users.find(({ users: n, kv }) => n === 1 && kv === row.kv);
    assert.equal(row.ratio_to_one_user, row.generated_tps / (one?.generated_tps ?? 0));
  }
});

test('bench users prints a table', async () => {
  const run = await runCli([...ARGS, '--users', '2']);
  const [title, heading, row, ...rest] = run.stdout.trimEnd().split('\n');
  assert.match(title, /^kvant-tiny-llama-d64 · wasm, 1 thread, /);
  assert.match(heading, /^ +users +kv +seconds +new tok\/s +of 1 user +all tok\/s +first token ms +p50 +p99$/);
  assert.match(row, /^ +2 +q4 +[\d.]+ +[\d,.]+ +- +[\d,.]+ +\d+ +\d+ +\d+$/);
  assert.deepEqual(rest, []);
});

/** Runs the measurement in this process, with a peer whose rates are known. */
async function usersAgainst(options: UsersOptions, context: FakeContext): Promise<void> {
  const driverPath = fileURLToPath(new URL('../bench/testing/fake-peer.ts', import.meta.url));
  const peer: Peer = { name: 'node-llama-cpp', version: '0.0.1', driverPath };
  const given: UsersOptions = { model: TINY_MODEL, threads: 1, runs: 1, in: 8, out: 5, against: 'node-llama-cpp' };
  await measureInSession(options.json === true, context, (session) =>
    benchUsers({ ...given, ...options }, session, context, () => Promise.resolve(peer)),
  );
}

test('bench users against a peer prints its best rate and the setting that gave it', async () => {
  const context = new FakeContext({ load });
  await usersAgainst({ users: [2], shared: 10, peerKv: ['Q8_0', 'F16'], peerThreads: [2], peerBatch: [64] }, context);
  const [title, heading, row] = context.texts.stdout.trimEnd().split('\n');
  assert.match(title, / · against node-llama-cpp 0\.0\.1$/);
  assert.match(heading, /p99 +peer's best +peer with$/);
  // 10 of the prefix, and for each user 8 of the prompt and 5 new ones, in milliseconds.
  assert.match(row, / 277\.8 \([\d,.]+x\) +F16, 2 threads, batch 64$/);
});

test('every setting that the peer can run is measured, and quantized types never without flash attention', async () => {
  const context = new FakeContext({ load });
  const options: UsersOptions = {
    peerKv: ['F16', 'Q8_0'],
    peerThreads: [1],
    peerBatch: [64],
    peerFlash: ['on', 'off'],
  };
  await usersAgainst({ users: [1, 2], ...options, json: true }, context);
  const { peer, against = [] } = JSON.parse(context.texts.stdout) as UsersSection;
  const settings = peer?.users.map(({ users, kv, flashAttention }) => `${users} ${kv} ${flashAttention}`);
  const ofEach = (users: number) => [`${users} F16 true`, `${users} F16 false`, `${users} Q8_0 true`];
  assert.deepEqual(settings, [...ofEach(1), ...ofEach(2)]);
  assert.deepEqual(
    peer?.users.map((row) => row.ratio_to_one_user),
    [1, 1, 1, 1, 1, 1],
  );
  assert.deepEqual(
    against.map(({ users, kv, peer: setting }) => [users, kv, setting.kv]),
    [
      [1, 'q4', 'F16'],
      [2, 'q4', 'F16'],
    ],
  );
});

test('bench users refuses what it cannot measure', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--users', '1,0'], /^kvant: --users 0: must be a whole number from 1 to 256/],
    [['--out', '0'], /^kvant: --out 0: must be a whole number of at least 1/],
    [['--shared', '-1'], /^kvant: --shared -1: must be a whole number of at least 0/],
    [
      ['--shared', '9000'],
      /^kvant: ask for fewer tokens: the context that they need must be at most 8,192, the model's context; got 9,013/,
    ],
    [['--peer-batch', '64'], /^kvant: --peer-batch needs --against ENGINE/],
    [
      ['--against', 'node-llama-cpp', '--peer-kv', 'Q8_0', '--peer-flash', 'off'],
      /^kvant: --peer-flash off: the types Q8_0 need flash attention: add on, or one of F32, F16, BF16/,
    ],
  ];
  for (const [args, message] of cases) {
    const run = await runCli([...ARGS, ...args]);
    assert.match(run.stderr, message);
    assert.equal(run.exitCode, 2);
  }
  const run = await runCli(['bench', '--ctx', '100', ...ARGS.slice(1)]);
  assert.match(run.stderr, /^kvant: --ctx has no place here: --help lists what the measurement knows/);
});
