import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ResidencySection } from './bench-residency.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const ARGS = ['bench', 'residency', '--model', TINY_MODEL, '--kv-memory', '10MB'];

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-trace-'));
});
after(() => rm(folder, { recursive: true }));

test('bench residency counts more conversations and hits for fewer bits, the same ones for the same seed', async () => {
  const args = [...ARGS, '--conversations', '30', '--seed', '5', '--json'];
  const [run, again] = [await runCli(args), await runCli(args)];
  assert.deepEqual([run.stderr, run.stdout], ['', again.stdout]);
  const { model, settings, residency } = JSON.parse(run.stdout) as ResidencySection;
  assert.equal(model, 'kvant-tiny-llama-d64');
  assert.deepEqual(
    [settings.trace, settings.kv_memory_bytes, settings.left_out],
    ['30 chats of seed 5', 10_000_000, 0],
  );
  assert.deepEqual(
    residency.map(({ kv }) => kv),
    ['f16', 'q8', 'q4'],
  );
  const [f16, q8, q4] = residency;
  assert.ok(f16.conversations < q8.conversations && q8.conversations < q4.conversations, run.stdout);
  assert.ok(f16.hit_rate < q8.hit_rate && q8.hit_rate < q4.hit_rate, run.stdout);
  assert.ok(q4.hit_rate <= settings.hit_rate_unlimited && settings.hit_rate_unlimited < 1, run.stdout);
  assert.equal(q4.hit_rate, q4.hit_tokens / settings.prompt_tokens);
});

test('bench residency prints a table, and what of a trace it has left out', async () => {
  const trace = join(folder, 'trace.jsonl');
  const lines = [
    '{"timestamp": 0, "input_length": 1000, "output_length": 10, "hash_ids": [1, 2]}',
    '{"timestamp": 1, "input_length": 1024, "output_length": 10, "hash_ids": [1, 3]}',
    '{"timestamp": 2, "input_length": 9000, "output_length": 10, "hash_ids": [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]}',
  ];
  await writeFile(trace, lines.join('\n'));
  const run = await runCli([...ARGS, '--kv', 'q4', '--trace', trace]);
  const [title, counts, heading, row, ...rest] = run.stdout.trimEnd().split('\n');
  assert.equal(title, 'kvant-tiny-llama-d64 · 10.0 MB of pages · conversations of 2,048 tokens');
  // Seven pages and the sink tokens of the first block.
  assert.equal(counts, `${trace}: 2 requests, 2,024 prompt tokens, of which 22.3% could be hit`);
  assert.match(heading, /^ +kv +page kB +conversations +tokens +hits +hit tokens +too long$/);
  assert.match(row, /^ +q4 +[\d.]+ +\d+ +[\d,]+ +22\.3% +452 +0$/);
  assert.deepEqual(rest, []);
  assert.match(run.stderr, /^1 request of the trace left out: longer than the model's context of 8,192 tokens$/m);
});

test('bench residency refuses what it cannot replay', async () => {
  const trace = join(folder, 'bad.jsonl');
  await writeFile(trace, '{"timestamp": 0}\n');
  const cases: readonly (readonly [readonly string[], RegExp, number])[] = [
    [['--trace', trace], /^kvant: line 1 of ".*bad\.jsonl", input_length: .*; expected \{"timestamp"/, 1],
    [['--trace', 'no-such.jsonl'], /^kvant: cannot read "no-such\.jsonl": no such file or directory/, 1],
    [['--trace', trace, '--seed', '2'], /^kvant: --seed has no place with --trace: it makes chats/, 2],
    [['--kv', 'auto'], /^kvant: --kv auto: must be f16/, 2],
    [['--conversations', '0'], /^kvant: --conversations 0: must be a whole number from 1 to 1000000/, 2],
  ];
  for (const [args, message, exitCode] of cases) {
    const run = await runCli([...ARGS, ...args]);
    assert.match(run.stderr, message);
    assert.equal(run.exitCode, exitCode);
  }
});
