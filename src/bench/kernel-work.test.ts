import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fastestMs } from './kernel-work.ts';

test('the fastest repetition counts, warm-ups do not, and the budget ends it', async () => {
  const durations = [1, 1, 1, 50, 20, 30, 40, 10];
  let [nowMs, numRuns] = [0, 0];
  const options = {
    budgetMs: 100,
    now: () => nowMs,
    yieldToEvents: () => Promise.resolve(),
    signal: new AbortController().signal,
  };
  const best = await fastestMs(async () => {
    nowMs += durations[numRuns++];
  }, options);
  assert.equal(best, 20);
  assert.equal(numRuns, 6);
});

test('an abort ends it', async () => {
  const abort = new AbortController();
  const reason = new Error('enough');
  const yieldToEvents = async (): Promise<void> => abort.abort(reason);
  const options = { budgetMs: 1, now: () => 0, yieldToEvents, signal: abort.signal };
  await assert.rejects(
    fastestMs(async () => {}, options),
    reason,
  );
});
