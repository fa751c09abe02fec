import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { planAdmission, planStep, type RunningSequence } from './scheduler.ts';

const ALL = { maxRows: 1000, prefillChunk: 1000 };

function sequence(id: number, numPending: number, numTokensToFull = 64): RunningSequence {
  return { id, numPending, numTokensToFull };
}

test('decodes come before prompts, each in the order given', () => {
  const plan = planStep([sequence(1, 30), sequence(2, 1), sequence(3, 20), sequence(4, 1)], ALL);
  assert.deepEqual(
    plan.map(({ id, numTokens }) => [id, numTokens]),
    [
      [2, 1],
      [4, 1],
      [1, 30],
      [3, 20],
    ],
  );
});

test('a segment ends where its open page is full, and is no longer than a chunk', () => {
  assert.deepEqual(planStep([sequence(1, 500, 68)], ALL), [{ id: 1, numTokens: 68 }]);
  assert.deepEqual(planStep([sequence(1, 500, 3)], ALL), [{ id: 1, numTokens: 3 }]);
  assert.deepEqual(planStep([sequence(1, 500, 68)], { maxRows: 1000, prefillChunk: 7 }), [{ id: 1, numTokens: 7 }]);
});

test('prompts share the rows that decodes leave', () => {
  const running = [sequence(1, 50), sequence(2, 50), sequence(3, 1), sequence(4, 50)];
  const plan = planStep(running, { maxRows: 70, prefillChunk: 1000 });
  assert.deepEqual(plan, [
    { id: 3, numTokens: 1 },
    { id: 1, numTokens: 50 },
    { id: 2, numTokens: 19 },
  ]);
});

test('sequences with nothing pending are left out', () => {
  assert.deepEqual(planStep([sequence(1, 0), sequence(2, 2)], ALL), [{ id: 2, numTokens: 2 }]);
  assert.deepEqual(planStep([], ALL), []);
});

test('in 500 random cases no limit is broken, no sequence comes twice, and something runs if anything can', () => {
  const rng = xoroshiro128plus(5);
  for (let i = 0; i < 500; i++) {
    const running = Array.from({ length: uniformInt(rng, 0, 6) }, (_, id) =>
      sequence(id, uniformInt(rng, 0, 3) === 0 ? 1 : uniformInt(rng, 0, 200), uniformInt(rng, 1, 68)),
    );
    const limits = { maxRows: uniformInt(rng, 1, 150), prefillChunk: uniformInt(rng, 1, 100) };
    const plan = planStep(running, limits);
    assert.ok(plan.reduce((sum, { numTokens }) => sum + numTokens, 0) <= limits.maxRows);
    assert.equal(new Set(plan.map(({ id }) => id)).size, plan.length);
    for (const { id, numTokens } of plan) {
      const { numPending, numTokensToFull } = running[id];
      assert.ok(numTokens > 0 && numTokens <= Math.min(numPending, numTokensToFull, limits.prefillChunk));
    }
    assert.equal(
      plan.length > 0,
      running.some(({ numPending }) => numPending > 0),
    );
  }
});

test('a sequence starts when the pages that it may ever need are free', () => {
  const need = { openPages: 1, sealedPages: 5 };
  assert.deepEqual(planAdmission(need, { freeOpenPages: 1, unreservedSealedPages: 5 }, []), []);
  assert.equal(planAdmission(need, { freeOpenPages: 0, unreservedSealedPages: 5 }, []), undefined);
  assert.equal(planAdmission(need, { freeOpenPages: 1, unreservedSealedPages: 4 }, []), undefined);
});

test('caches go in order, only as many as must', () => {
  const caches = [
    { id: 7, openPages: 1, sealedPages: 2 },
    { id: 8, openPages: 1, sealedPages: 9 },
    { id: 9, openPages: 1, sealedPages: 9 },
  ];
  const need = { openPages: 1, sealedPages: 5 };
  assert.deepEqual(planAdmission(need, { freeOpenPages: 0, unreservedSealedPages: 3 }, caches), [7]);
  assert.deepEqual(planAdmission(need, { freeOpenPages: 0, unreservedSealedPages: 2 }, caches), [7, 8]);
  assert.equal(
    planAdmission({ openPages: 1, sealedPages: 50 }, { freeOpenPages: 1, unreservedSealedPages: 2 }, caches),
    undefined,
  );
  assert.deepEqual(
    planAdmission({ openPages: 0, sealedPages: 0 }, { freeOpenPages: 0, unreservedSealedPages: 0 }, caches),
    [],
  );
});
