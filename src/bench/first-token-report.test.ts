import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstTokenRows } from './first-token-report.ts';

test('each way has its fastest run, and how many times as fast as computing everything that is', () => {
  const rows = firstTokenRows('q4', 100, [
    { way: 'recompute', runs: [400, 300].map((ms) => ({ ms, cachedTokens: 0 })) },
    {
      way: 'prefix hit',
      runs: [
        { ms: 20, cachedTokens: 68 },
        { ms: 30, cachedTokens: 64 },
      ],
    },
  ]);
  assert.deepEqual(rows, [
    {
      ...{ kv: 'q4', way: 'recompute', prompt_tokens: 100, cached_tokens: 0 },
      ...{ ms: 300, ms_median: 350, ms_runs: [400, 300], times_as_fast: 1 },
    },
    {
      ...{ kv: 'q4', way: 'prefix hit', prompt_tokens: 100, cached_tokens: 64 },
      ...{ ms: 20, ms_median: 25, ms_runs: [20, 30], times_as_fast: 15 },
    },
  ]);
  assert.throws(() => firstTokenRows('q4', 100, [{ way: 'recompute', runs: [] }]), RangeError);
});
