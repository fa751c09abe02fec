import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecodeRun } from './speculation-contender.ts';
import { speculationRow } from './speculation-report.ts';

function run(decodeMs: number, answers: readonly (readonly number[])[], numDrafted = 0): DecodeRun {
  return { numTokens: 100, decodeMs, numDrafted, numAccepted: numDrafted / 2, answers };
}

const NAMES = { kv: 'q4', task: 'copy' };

test('a row has the best runs and the medians, and their ratios', () => {
  const answers = [[1, 2], [3]];
  const off = [run(1000, answers), run(2000, answers)];
  const lookup = [run(500, answers, 20), run(250, answers, 24)];
  assert.deepEqual(speculationRow(NAMES, off, lookup), {
    ...NAMES,
    tokens: 100,
    off_tps: 100,
    off_tps_median: 75,
    off_tps_runs: [100, 50],
    lookup_tps: 400,
    lookup_tps_median: 300,
    lookup_tps_runs: [200, 400],
    ratio: 4,
    ratio_of_medians: 4,
    drafted_tokens: 24,
    accepted_tokens: 12,
  });
});

test('an answer that drafts have changed is no measurement', () => {
  assert.throws(() => speculationRow(NAMES, [run(1000, [[1, 2], [3]])], [run(500, [[1, 2], [4]])]), {
    code: 'ENGINE_FAILED',
    message: 'q4: drafts have changed an answer to a prompt of "copy": this is a bug in Kvant',
  });
});

test('runs without tokens are refused', () => {
  const none = { ...run(0, [[1]]), numTokens: 0 };
  assert.throws(() => speculationRow(NAMES, [none], [none]), /nothing was decoded/);
});
