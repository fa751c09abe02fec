import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RequestTimer } from './request-timer.ts';

/** A clock that tests set, in milliseconds. */
function timerAt(): { timer: RequestTimer; at: (ms: number) => RequestTimer } {
  let now = 1000;
  const timer = new RequestTimer(() => now);
  return {
    timer,
    at: (ms) => {
      now = ms;
      return timer;
    },
  };
}

test('prefill counts from the first step to the prompt, decode from the first token to the last', () => {
  const { at, timer } = timerAt();
  at(1100).start();
  at(1300).promptComputed();
  for (const ms of [1301, 1401, 1501]) at(ms).token();
  const timings = timer.timings(7, 50, 3);
  assert.deepEqual(timings, { loadMs: 7, ttftMs: 301, prefillTps: 250, decodeTps: 10 });
});

test('what did not happen has no speed', () => {
  const { at, timer } = timerAt();
  assert.deepEqual(at(1500).timings(1, 0, 0), { loadMs: 1, ttftMs: 500, prefillTps: undefined, decodeTps: undefined });
  at(1600).start();
  at(1700).promptComputed();
  assert.equal(timer.timings(1, 0, 0).prefillTps, undefined);
  assert.equal(timer.timings(1, 10, 0).ttftMs, 700);
  at(1800).token();
  assert.equal(timer.timings(1, 10, 1).decodeTps, undefined);
  assert.equal(timer.timings(1, 10, 1).ttftMs, 800);
});
