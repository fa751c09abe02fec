import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvantError } from '../errors.ts';
import type { GenerateResult } from '../engine/types.ts';
import { parseCliOptions } from './cli-options.ts';
import { errorReport, exitCodeOf } from './exit-code.ts';
import { formatAge, formatBytes, formatQuantity, formatRate } from './format.ts';
import { positionRangeSchema, positionsOf } from './position-range.ts';
import { summaryLine } from './summary-line.ts';

const RESULT = {
  kv: { format: 'q4', bitsPerElement: 4.5, bytes: 6_635_520, bytesF16: 23_592_960, tokens: 1024 },
  timings: { loadMs: 300, ttftMs: 20, prefillTps: 900.4, decodeTps: 88.25 },
} as Partial<GenerateResult> as GenerateResult;
const BACKEND = { name: 'wasm', threads: 2, isa: 'relaxed SIMD' } as const;

test('the summary of an answer', () => {
  assert.equal(
    summaryLine(RESULT, BACKEND),
    'kv q4 · 4.5 bits/element · 1,024 tokens in 6.6 MB (f16 23.6 MB, 3.6x) · prefill 900 tok/s · decode 88.3 tok/s · ' +
      'wasm, 2 threads, relaxed SIMD',
  );
});

test('the summary leaves out what was not measured, and a ratio of 1', () => {
  const timings = { ...RESULT.timings, prefillTps: undefined, decodeTps: undefined };
  const kv = { ...RESULT.kv, format: 'f16', bitsPerElement: 16, bytes: RESULT.kv.bytesF16 };
  const line = summaryLine({ ...RESULT, kv, timings }, { ...BACKEND, threads: 1 });
  assert.equal(line, 'kv f16 · 16 bits/element · 1,024 tokens in 23.6 MB · wasm, 1 thread, relaxed SIMD');
});

test('the summary tells how many guesses were right, if any were made', () => {
  const speculation = { mode: 'lookup', drafted: 1200, accepted: 1100, steps: 90 } as const;
  assert.match(summaryLine({ ...RESULT, speculation }, BACKEND), / · 1,100 of 1,200 guesses right · wasm/);
  assert.doesNotMatch(summaryLine({ ...RESULT, speculation: { ...speculation, drafted: 0 } }, BACKEND), /guesses/);
});

test('figures as people read them', () => {
  const bytes = [1, 99_949, 100_000, 1_234_567, 2_500_000_000];
  assert.deepEqual(bytes.map(formatBytes), ['0.0 kB', '99.9 kB', '0.1 MB', '1.2 MB', '2.50 GB']);
  assert.deepEqual([99.94, 100.4].map(formatRate), ['99.9 tok/s', '100 tok/s']);
  assert.deepEqual(
    [1, 1024].map((count) => formatQuantity(count, 'token')),
    ['1 token', '1,024 tokens'],
  );
  assert.deepEqual([-5, 59_999, 60_000, 86_399_999, 86_400_000, 800 * 86_400_000].map(formatAge), [
    '0 s',
    '59 s',
    '1 min',
    '23 h',
    '1 d',
    '2 y',
  ]);
});

test('ranges of positions', () => {
  const positions = (text: string, length: number) => positionsOf(positionRangeSchema.parse(text), length);
  assert.deepEqual(positions('2:9:3', 10), [2, 5, 8]);
  assert.deepEqual(positions(':3', 10), [0, 1, 2]);
  assert.deepEqual(positions('::4', 10), [0, 4, 8]);
  assert.deepEqual(positionsOf(undefined, 10), [9]);
  for (const text of ['', 'a', '1', '5:5', '1:2:0', '-1:3', '1:2:3:4']) {
    assert.equal(positionRangeSchema.safeParse(text).success, false, text);
  }
  assert.throws(() => positions('5:11', 10), /the prompt has 10 tokens, at positions 0 to 9/);
});

test('flags are checked together', () => {
  const given = (values: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, source: 'cli' as const }]));
  assert.deepEqual(parseCliOptions(given({ ctx: '512', stop: ['a', 'b'], json: true })), {
    ctx: 512,
    stop: ['a', 'b'],
    json: true,
  });
  assert.throws(() => parseCliOptions(given({ system: 'x', raw: true })), /--system has no place with --raw/);
  assert.throws(() => parseCliOptions(given({ tokens: 'a', file: 'b' })), /--file cannot be put before --tokens/);
  assert.throws(() => parseCliOptions(given({ speculate: 'draft' })), /--speculate draft needs --draft-model FILE/);
  const drafting = { speculate: 'draft', draftModel: 'a.gguf' };
  assert.deepEqual(parseCliOptions(given(drafting)), drafting);
  assert.throws(() => parseCliOptions(given({ ctx: '' })), /--ctx "": must be a whole number/);
});

test('exit codes and reports of errors', () => {
  assert.equal(exitCodeOf(new KvantError('INVALID_OPTION', 'x')), 2);
  assert.equal(exitCodeOf(new KvantError('MODEL_NOT_FOUND', 'x')), 1);
  assert.equal(exitCodeOf('x'), 1);
  assert.equal(errorReport(new Error('two\n  lines\n'), false), 'kvant: two lines');
  assert.match(
    errorReport(new Error('outer', { cause: new Error('inner') }), true),
    /outer[\s\S]*caused by: Error: inner/,
  );
});
