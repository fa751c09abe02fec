import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlanReport } from '../engine/plan-report.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const LADDER = ['f16', 'q8', 'q6', 'q5', 'q4', 'q3', 'q2', 'q1'];
const ARGS = ['plan', '--model', TINY_MODEL, '--threads', '2'];

async function planJson(...args: string[]): Promise<PlanReport> {
  const run = await runCli([...ARGS, ...args, '--json']);
  assert.deepEqual([run.stderr, run.exitCode], ['', 0]);
  return JSON.parse(run.stdout) as PlanReport;
}

test('plan prints a table of every format and what it would choose', async () => {
  const run = await runCli([...ARGS, '--memory', '1GB', '--users', '2', '--ctx', '1000']);
  assert.deepEqual([run.stderr, run.exitCode], ['', 0]);
  const [title, demand, , heading, ...rest] = run.stdout.trimEnd().split('\n');
  assert.match(title, /^kvant-tiny-llama-d64 · llama, \d M parameters, context 8,192 · wasm, 2 threads$/);
  assert.equal(demand, '2 users of 1,000 tokens · the memory budget 1.00 GB, the address space of WebAssembly 4.29 GB');
  assert.match(
    heading,
    /kv +bits\/element +weights MB +pages MB +scratch MB +runtime MB +total MB +fits +longest ctx +most users$/,
  );
  LADDER.forEach((kv, i) => assert.match(rest[i], new RegExp(`^ +${kv} +[\\d.]+ +.* yes +8,192 +\\d+$`)));
  assert.equal(rest[LADDER.length], '');
  assert.match(rest.at(-1) ?? '', /^--kv q8: the finest, and it needs \d+ MB of 1\.00 GB \(the memory budget\)\.$/);
});

test('plan --json has the same figures', async () => {
  const plan = await planJson('--memory', '1GB', '--kv', 'q4,f16', '--ctx', '1000');
  assert.deepEqual([plan.ctx, plan.users, plan.threads, plan.backend], [1000, 1, 2, 'wasm']);
  assert.deepEqual(plan.limits[0], { bytes: 1e9, name: 'the memory budget', of: 'process' });
  assert.deepEqual(
    plan.formats.map(({ kv }) => kv),
    ['q4', 'f16'],
  );
  for (const { total_bytes, weight_bytes, page_bytes, scratch_bytes, runtime_bytes } of plan.formats) {
    assert.equal(total_bytes, weight_bytes + page_bytes + scratch_bytes + runtime_bytes);
  }
  assert.equal(plan.choice?.kv, 'f16');
});

test('without a budget the limit is what the machine has, and the context as the engine would choose it', async () => {
  const { limits, ctx, formats } = await planJson();
  assert.deepEqual(
    limits.map(({ name }) => name),
    ['the address space of WebAssembly', 'this machine'],
  );
  assert.equal(ctx, 8192);
  assert.deepEqual(
    formats.map(({ kv }) => kv),
    LADDER,
  );
});

test('what a loaded model plans for itself is what plan says', async () => {
  const { formats } = await planJson('--ctx', '500', '--kv', 'q8');
  const run = await runCli([
    ...['generate', '--raw', 'a', '--json', '--max-tokens', '1', '--model', TINY_MODEL],
    ...['--threads', '2', '--ctx', '500', '--kv', 'auto'],
  ]);
  const report = JSON.parse(run.stdout) as {
    readonly kv: { readonly format: string; readonly reason: string };
    readonly memory: { readonly planned_bytes: number };
  };
  assert.equal(run.stderr, '');
  assert.equal(report.kv.format, 'q8');
  assert.match(report.kv.reason, /^the finest, and it needs/);
  assert.equal(report.memory.planned_bytes, formats[0].total_bytes);
});

test('a budget that no format fits is refused after the table, with flags that would fit', async () => {
  const [{ runtime_bytes, weight_bytes }] = (await planJson()).formats;
  const memory = `${runtime_bytes + weight_bytes + 7_000_000}B`;
  const run = await runCli([...ARGS, '--memory', memory, '--users', '8']);
  assert.equal(run.exitCode, 1);
  assert.match(run.stdout, / q4 .* no /);
  assert.match(
    run.stderr,
    /^kvant: no format of f16, q8, q6, q5, q4, q3, q2, q1 holds 8 users of 8,192 tokens in that memory; what would fit: --users 1.*\n$/,
  );
  const hopeless = await runCli([...ARGS, '--memory', '1MB', '--json']);
  assert.equal(hopeless.exitCode, 1);
  assert.match(hopeless.stderr, /what would fit: a smaller model, .*or more --memory/);
  assert.equal((JSON.parse(hopeless.stdout) as PlanReport).choice, null);
});

test('a format that auto never takes is told where no other fits', async () => {
  const q2 = (await planJson('--kv', 'q2')).formats[0];
  const run = await runCli([...ARGS, '--memory', `${q2.total_bytes - 1}B`]);
  assert.equal(run.exitCode, 1);
  assert.match(run.stdout, / q2 .* no .*\n +q1 .* yes /);
  assert.match(
    run.stderr,
    /^kvant: no format of f16, q8, q6, q5, q4, q3, q2 holds 1 user of .*; what would fit: --ctx \d+, or --kv q1\n$/,
  );
});

const REFUSED: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  [
    'a context beyond the model',
    ['--ctx', '100000'],
    2,
    /--ctx must be at most 8,192, the model's context; got 100,000/,
  ],
  ['a size without a unit', ['--memory', '2'], 2, /--memory 2: must be bytes, or a size such as 2GB, 1\.5GiB or 800MB/],
  ['no users', ['--users', '0'], 2, /--users 0: must be a whole number from 1 to 256/],
  ['auto, which is no format to compare', ['--kv', 'q4,auto'], 2, /--kv auto: must be f16/],
  [
    'a calibration that is missing',
    ['--calibration', 'no-such.json'],
    1,
    /^kvant: cannot read the calibration "no-such.json": no such file or directory\n$/,
  ],
  [
    'a mix without a calibration',
    ['--kv', 'q4,mix3'],
    2,
    /"mix3" needs a calibration .* give it with --calibration\n$/,
  ],
  ['a model that is missing', ['--model', 'no-such.gguf'], 1, /no model file at "no-such.gguf"/],
];
for (const [title, args, exitCode, message] of REFUSED) {
  test(`plan refuses ${title}`, async () => {
    const run = await runCli([...ARGS, ...args]);
    assert.match(run.stderr, message);
    assert.deepEqual([run.stdout, run.exitCode], ['', exitCode]);
  });
}

test('an answer tells which format auto has taken, and a budget refuses before it loads', async () => {
  const model = ['--raw', 'a', '--max-tokens', '1', '--model', TINY_MODEL];
  const answered = await runCli([...model, '--kv', 'auto']);
  assert.match(
    answered.stderr,
    /^kvant: --kv auto is q8: the finest, and it needs \d+ MB of [\d.]+ GB \(this machine\)\n/,
  );
  const refused = await runCli([...model, '--memory', '100MB']);
  assert.equal(refused.exitCode, 1);
  assert.match(
    refused.stderr,
    /^kvant: not enough memory: .* but the memory budget has 100 MB available; use a smaller model/,
  );
});

test('plan --draft-model counts it and names it', async () => {
  const alone = await planJson('--memory', '1GB', '--kv', 'q4');
  const both = await planJson('--memory', '1GB', '--kv', 'q4', '--draft-model', TINY_MODEL);
  assert.deepEqual([alone.draft_model, both.draft_model], [null, 'kvant-tiny-llama-d64']);
  assert.equal(both.formats[0].weight_bytes, 2 * alone.formats[0].weight_bytes);
  const run = await runCli([...ARGS, '--draft-model', TINY_MODEL]);
  assert.match(run.stdout, /^[^\n]* · drafts by kvant-tiny-llama-d64\n/);
});
