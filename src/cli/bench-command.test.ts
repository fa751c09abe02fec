import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BenchRow } from './bench-command.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const ARGS = ['bench', '--model', TINY_MODEL, '--threads', '1', '--runs', '1', '--new-tokens', '4'];

test('bench measures every format at every length', async () => {
  const run = await runCli([...ARGS, '--kv', 'f16,q4', '--ctx', '40, 150', '--json']);
  assert.equal(run.stderr, '');
  const { model, backend, rows } = JSON.parse(run.stdout) as { model: string; backend: object; rows: BenchRow[] };
  assert.equal(model, 'kvant-tiny-llama-d64');
  assert.deepEqual(Object.keys(backend), ['name', 'threads', 'isa']);
  const cells = rows.map(({ kv, prompt_tokens }) => `${kv} ${prompt_tokens}`);
  assert.deepEqual(cells, ['f16 40', 'f16 150', 'q4 40', 'q4 150']);
  for (const row of rows) assert.ok(row.prefill_tps > 0 && row.load_ms > 0 && row.bytes > 0);
  assert.ok(rows[3].bits_per_element < rows[1].bits_per_element);
});

test('bench prints a table', async () => {
  const run = await runCli([...ARGS, '--kv', 'q8', '--ctx', '40']);
  const [title, heading, row, ...rest] = run.stdout.trimEnd().split('\n');
  assert.match(title, /^kvant-tiny-llama-d64 · wasm, 1 thread, .*SIMD/);
  assert.match(heading, /kv +prompt +prefill tok\/s +decode tok\/s +bits\/element +cache MB +load ms$/);
  assert.match(row, /^ +q8 +40 +[\d,.]+ +(-|[\d,.]+) +16\.00 +0\.1 +[\d,]+$/);
  assert.deepEqual(rest, []);
});

test('bench refuses what it cannot measure', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--kv', 'f16,q9'], /^kvant: --kv q9: must be f16, q8, q4/],
    [['--ctx', '128,many'], /^kvant: --ctx many: must be a whole number/],
    [['--runs', '0'], /^kvant: --runs 0: must be a whole number from 1 to 100/],
    [['--new-tokens', '1'], /^kvant: --new-tokens 1: must be a whole number of at least 2/],
    [['--ctx', '9000'], /^kvant: --ctx must be at most 8,192, the model's context; got 9,004/],
  ];
  for (const [args, message] of cases) {
    const run = await runCli([...ARGS, ...args]);
    assert.match(run.stderr, message);
    assert.equal(run.exitCode, 2);
  }
});
