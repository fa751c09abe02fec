import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CeilingRow, KernelRow } from '../bench/kernel-bench-node.ts';
import { load } from '../engine/load-node.ts';
import { benchCommand, type BenchReport } from './bench-command.ts';
import type { Benchmark } from './bench-flags.ts';
import type { Peer } from './bench-peers.ts';
import { parseBenchOptions } from './cli-options.ts';
import { FakeContext } from './testing/fake-context.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const ARGS = ['bench', '--model', TINY_MODEL, '--threads', '1', '--runs', '1', '--new-tokens', '4'];

async function benchJson(...args: string[]): Promise<BenchReport> {
  const run = await runCli([...ARGS, ...args, '--json']);
  assert.equal(run.stderr, '');
  return JSON.parse(run.stdout) as BenchReport;
}

test('bench measures every format at every length', async () => {
  const { model, backend, rows = [], node, machine, ...rest } = await benchJson('--kv', 'f16,q4', '--ctx', '40, 150');
  assert.equal(model, 'kvant-tiny-llama-d64');
  assert.deepEqual(Object.keys(backend ?? {}), ['name', 'threads', 'isa']);
  assert.equal(node, process.version);
  assert.ok(machine.cores > 0 && machine.memory_bytes > 0);
  assert.deepEqual(rest, { settings: { runs: 1, new_tokens: 4 } });
  const cells = rows.map(({ kv, prompt_tokens }) => `${kv} ${prompt_tokens}`);
  assert.deepEqual(cells, ['f16 40', 'q4 40', 'f16 150', 'q4 150']);
  for (const row of rows) assert.ok(row.prefill_tps > 0 && row.load_ms > 0 && row.bytes > 0);
  assert.ok(rows[3].bits_per_element < rows[2].bits_per_element);
});

test('bench prints a table', async () => {
  const run = await runCli([...ARGS, '--kv', 'q8', '--ctx', '40']);
  const [title, heading, row, ...rest] = run.stdout.trimEnd().split('\n');
  assert.match(title, /^kvant-tiny-llama-d64 · wasm, 1 thread, .*SIMD/);
  assert.match(heading, /kv +prompt +prefill tok\/s +decode tok\/s +bits\/element +cache MB +load ms$/);
  assert.match(row, /^ +q8 +40 +[\d,.]+ +(-|[\d,.]+) +16\.00 +0\.1 +[\d,]+$/);
  assert.deepEqual(rest, []);
});

test('only what was asked for has columns', async () => {
  const run = await runCli([...ARGS, 'decode', '--kv', 'q8', '--ctx', '40']);
  assert.match(run.stdout, /kv +prompt +decode tok\/s +bits/);
  const other = await runCli([...ARGS, 'prefill', '--kv', 'q8', '--ctx', '40']);
  assert.match(other.stdout, /kv +prompt +prefill tok\/s +bits/);
});

test('bench attention and matmul measure kernels beside what the machine can do', async () => {
  const args = ['attention', 'matmul', '--kv', 'q4', '--ctx', '150', '--batch', '2'];
  const { rows, ceilings = [], kernels = [] } = await benchJson(...args);
  assert.equal(rows, undefined);
  assert.deepEqual(
    kernels.filter(({ kernel }) => kernel === 'attention').map(({ what, ctx, rows }) => [what, ctx, rows]),
    [
      ['q4', 150, 1],
      ['q4, 2 sequences', 150, 2],
      ['q4', 132, 64],
    ],
  );
  assert.equal(kernels.filter(({ kernel }) => kernel === 'matmul').length, 15);
  const [{ threads, ...most }]: readonly CeilingRow[] = ceilings;
  assert.deepEqual([ceilings.length, threads], [1, 1]);
  for (const row of kernels satisfies readonly KernelRow[]) {
    assert.equal(row.isa, most.isa);
    assert.ok(row.gmacs_per_s > 0 && row.gbytes_per_s > 0, row.what);
    assert.ok(Math.abs(row.share_of_dots - row.gmacs_per_s / most.gmacs_per_s) < 1e-9, row.what);
    assert.ok(Math.abs(row.share_of_reading - row.gbytes_per_s / most.gbytes_per_s) < 1e-9, row.what);
  }
});

test('bench load starts fresh processes and fills the context', async () => {
  const { load = [] } = await benchJson('load', '--kv', 'q4', '--ctx', '150', '--runs', '2');
  const [row] = load;
  assert.deepEqual([load.length, row.kv, row.ctx, row.first_token_ms_runs.length], [1, 'q4', 150, 2]);
  assert.equal(row.first_token_ms, Math.min(...row.first_token_ms_runs));
  assert.ok(row.first_token_ms >= row.load_ms && row.load_ms > 0, JSON.stringify(row));
  assert.ok(row.peak_rss_bytes > row.weight_bytes + row.page_bytes, JSON.stringify(row));
  assert.ok(row.planned_bytes > row.weight_bytes + row.page_bytes, JSON.stringify(row));
});

test('bench load says why a process failed', async () => {
  const run = await runCli([...ARGS, 'load', '--kv', 'q4', '--ctx', '100000']);
  assert.match(run.stderr, /^kvant: a fresh process of kvant failed: --ctx must be at most 8,192, the model's context/);
  assert.equal(run.exitCode, 1);
});

/** Runs bench in this process, with a peer whose rates are known. */
async function benchAgainst(what: readonly Benchmark[], flags: Readonly<Record<string, string>>, context: FakeContext) {
  const given = { model: TINY_MODEL, threads: '1', runs: '2', newTokens: '4', against: 'node-llama-cpp', ...flags };
  const options = parseBenchOptions(
    Object.fromEntries(Object.entries(given).map(([name, value]) => [name, { value, source: 'cli' }])),
  );
  const driverPath = fileURLToPath(new URL('../bench/testing/fake-peer.ts', import.meta.url));
  const peer: Peer = { name: 'node-llama-cpp', version: '0.0.1', driverPath };
  return benchCommand(what, options, context, () => Promise.resolve(peer));
}

test('bench against a peer prints its best rates, its settings and our ratios', async () => {
  const context = new FakeContext({ load });
  await benchAgainst([], { kv: 'q4', ctx: '40,150', peerKv: 'Q8_0,F16', peerThreads: '1,2' }, context);
  const [title, heading, ...lines] = context.texts.stdout.trimEnd().split('\n');
  assert.match(title, / · against node-llama-cpp 0\.0\.1$/);
  assert.match(heading, /kv +prompt +prefill tok\/s +peer Q8_0 +peer F16 +decode tok\/s +peer's best +peer with$/);
  assert.equal(lines.length, 2);
  const ratio = String.raw`\([\d,.]+x\)`;
  const cells = [`1,000.0 ${ratio}`, `1,000.0 ${ratio}`, '[\\d,.]+', `1,000.0 ${ratio}`, 'F16, 1 thread'];
  for (const line of lines) assert.match(line, new RegExp(`^ +q4 +[\\d,]+ +[\\d,.]+ +${cells.join(' +')}$`));
});

test('bench against a peer has every run of every setting in its JSON', async () => {
  const context = new FakeContext({ load });
  const flags = { kv: 'f16,q4', ctx: '40', peerKv: 'F16,Q4_0', peerThreads: '1,2' };
  await benchAgainst(['decode'], { ...flags, json: true as unknown as string }, context);
  const { rows = [], peer, against = [] } = JSON.parse(context.texts.stdout) as BenchReport;
  assert.deepEqual([peer?.name, peer?.version], ['node-llama-cpp', '0.0.1']);
  const settings = peer?.rows.map(({ kv, threads, prefill_tps_runs, decode_tps_runs }) => {
    return [kv, threads, prefill_tps_runs, decode_tps_runs];
  });
  assert.deepEqual(settings, [
    ['F16', 1, [500, 500], [1000, 1000]],
    ['F16', 2, [1000, 1000], [1000, 1000]],
    ['Q4_0', 1, [500, 500], [500, 500]],
    ['Q4_0', 2, [1000, 1000], [500, 500]],
  ]);
  assert.deepEqual(
    against.map(({ kv, decode }) => [kv, decode?.peer_tps, decode?.ratio]),
    rows.map(({ kv, decode_tps }) => [kv, 1000, (decode_tps ?? 0) / 1000]),
  );
});

test('a peer that fails ends the benchmark with its words', async () => {
  const context = new FakeContext({ load });
  await assert.rejects(benchAgainst([], { kv: 'q4', ctx: '40', peerKv: 'BF16', peerThreads: '2' }, context), {
    code: 'ENGINE_FAILED',
    message: 'node-llama-cpp BF16, 2 threads failed: no BF16 here',
  });
});

test('Ctrl-C ends a comparison with the exit code of the signal', async () => {
  const context = new FakeContext({ load });
  const flags = { kv: 'q4', ctx: '40', runs: '100', peerKv: 'F16,Q8_0', peerThreads: '1' };
  const ended = benchAgainst([], flags, context);
  // The heading: everything is loaded, and the measuring begins.
  await once(context.stdout, 'data');
  context.interrupt();
  assert.equal(await ended, 130);
});

test('bench refuses what it cannot measure', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [
      ['--kv', 'f16,q9'],
      /^kvant: --kv q9: must be f16, q8, q6, q5, q4, q3, q2, q1, or kAvB with A and B from 16, 8, .*, or with a calibration mixN.* \(as in mix2\.5\)$/m,
    ],
    [['--ctx', '128,many'], /^kvant: --ctx many: must be a whole number/],
    [['--runs', '0'], /^kvant: --runs 0: must be a whole number from 1 to 100/],
    [['--new-tokens', '1'], /^kvant: --new-tokens 1: must be a whole number of at least 2/],
    [['--ctx', '9000'], /^kvant: --ctx must be at most 8,192, the model's context; got 9,004/],
    [['speed'], /^kvant: .*'speed' is invalid.* decode, prefill, attention, matmul, load/],
    [['--against', 'ollama'], /^kvant: --against ollama: must be node-llama-cpp/],
    [['--against', 'node-llama-cpp', '--peer-kv', 'F16,q4'], /^kvant: --peer-kv q4: must be one of F32, F16/],
    [['--against', 'node-llama-cpp', '--peer-threads', '0'], /^kvant: --peer-threads 0: must be a whole number/],
    [['--peer-kv', 'F16'], /^kvant: --peer-kv needs --against ENGINE/],
    [['attention', '--batch', '65'], /^kvant: --batch 65: must be a whole number from 1 to 64/],
    [['--batch', '2'], /^kvant: --batch needs attention or matmul: kvant bench users/],
    [['attention', '--against', 'node-llama-cpp'], /^kvant: --against needs decode or prefill/],
    [['attention', '--backend', 'reference'], /^kvant: --backend reference: only wasm and webgpu kernels/],
  ];
  for (const [args, message] of cases) {
    const run = await runCli([...ARGS, ...args]);
    assert.match(run.stderr, message);
    assert.equal(run.exitCode, 2);
  }
});
