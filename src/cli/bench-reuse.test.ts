import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FirstTokenSection } from './bench-first-token.ts';
import type { LookupSection } from './bench-lookup.ts';
import type { PreemptionSection } from './bench-preemption.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const COMMON = ['--model', TINY_MODEL, '--threads', '1', '--runs', '2'];

async function benchJson<Section>(...args: string[]): Promise<Section> {
  const run = await runCli(['bench', ...args, ...COMMON, '--json']);
  assert.equal(run.stderr, '');
  return JSON.parse(run.stdout) as Section;
}

test('bench first-token asks about a document again, computing it, finding it in the cache, or loading it from a file', async () => {
  const section = await benchJson<FirstTokenSection>('first-token', '--kv', 'f16,q4', '--document', '300');
  assert.deepEqual(section.settings, { runs: 2, document_tokens: 300 });
  const cells = section.first_token.map(({ kv, way, cached_tokens, ms_runs }) => [
    kv,
    way,
    cached_tokens,
    ms_runs.length,
  ]);
  assert.deepEqual(cells, [
    ['f16', 'recompute', 0, 2],
    ['f16', 'prefix hit', 256, 2],
    ['f16', 'file', 256, 2],
    ['q4', 'recompute', 0, 2],
    ['q4', 'prefix hit', 260, 2],
    ['q4', 'file', 260, 2],
  ]);
  for (const { prompt_tokens, ms, ms_median } of section.first_token) {
    assert.ok(prompt_tokens > 300 && ms > 0 && ms <= ms_median);
  }
});

test('bench preemption brings a sequence back in three ways', async () => {
  const run = await runCli(['bench', 'preemption', ...COMMON, '--lengths', '100,200']);
  const [title, heading, ...lines] = run.stdout.trimEnd().split('\n');
  assert.match(title, /^kvant-tiny-llama-d64 · wasm, 1 thread, /);
  assert.match(heading, /^ +kv +tokens +way +cached +first token ms +median +recompute$/);
  const cells = lines.map((line) => line.trim().split(/ +/).slice(0, 4).join(' '));
  const ofEach = (tokens: number, cached: number): string[] => [
    `q4 ${tokens} recompute 0`,
    `q4 ${tokens} memory ${cached}`,
    `q4 ${tokens} disk ${cached}`,
  ];
  assert.deepEqual(cells, [...ofEach(101, 68), ...ofEach(201, 196)]);
});

test('bench preemption has every run in its JSON', async () => {
  const { preemption } = await benchJson<PreemptionSection>('preemption', '--kv', 'f16', '--lengths', '100');
  assert.deepEqual(
    preemption.map(({ way, ms_runs }) => [way, ms_runs.length]),
    [
      ['recompute', 2],
      ['memory', 2],
      ['disk', 2],
    ],
  );
});

test('bench lookup decodes the same with drafts and without', async () => {
  const { lookup, settings } = await benchJson<LookupSection>('lookup', '--kv', 'q8,q4', '--new-tokens', '20');
  assert.deepEqual(settings, { runs: 2, new_tokens: 20 });
  assert.deepEqual(
    lookup.map(({ kv, task }) => [kv, task]),
    [
      ['q8', 'copy'],
      ['q8', 'free'],
      ['q4', 'copy'],
      ['q4', 'free'],
    ],
  );
  for (const { ratio, off_tps, lookup_tps, tokens, drafted_tokens, accepted_tokens } of lookup) {
    assert.equal(ratio, lookup_tps / off_tps);
    assert.ok(tokens > 0 && tokens <= 3 * 19 && accepted_tokens <= drafted_tokens);
  }
});

test('they refuse what they cannot measure', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['first-token', '--document', '100'], /^kvant: --document 100: must be a whole number of at least 128/],
    [['preemption', '--lengths', '512,0'], /^kvant: --lengths 0: must be a whole number of at least 1/],
    [
      ['preemption', '--lengths', '9000'],
      /^kvant: ask for fewer tokens: the context that they need must be at most 8,192, the model's context; got 9,056/,
    ],
    [['lookup', '--ctx', '100'], /^kvant: unknown option '--ctx'/],
  ];
  for (const [args, message] of cases) {
    const run = await runCli(['bench', ...args, ...COMMON]);
    assert.match(run.stderr, message);
    assert.equal(run.exitCode, 2);
  }
});
