import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { planStep, type PlannedSegment, type RunningSequence, type StepLimits } from './scheduler.ts';

const ALL: StepLimits = { maxRows: 1000, prefillChunk: 1000, maxPrefillRows: Infinity };

function sequence(id: number, numPending: number, numTokensToFull = 64, numDraft = 0): RunningSequence {
  return { id, numPending, numTokensToFull, numDraft };
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
  assert.deepEqual(planStep([sequence(1, 500, 68)], ALL), [{ id: 1, numTokens: 68, numDraft: 0 }]);
  assert.deepEqual(planStep([sequence(1, 500, 3)], ALL), [{ id: 1, numTokens: 3, numDraft: 0 }]);
  assert.deepEqual(planStep([sequence(1, 500, 68)], { ...ALL, prefillChunk: 7 }), [
    { id: 1, numTokens: 7, numDraft: 0 },
  ]);
});

test('prompts share the rows that decodes leave', () => {
  const running = [sequence(1, 50), sequence(2, 50), sequence(3, 1), sequence(4, 50)];
  const plan = planStep(running, { ...ALL, maxRows: 70 });
  assert.deepEqual(plan, [
    { id: 3, numTokens: 1, numDraft: 0 },
    { id: 1, numTokens: 50, numDraft: 0 },
    { id: 2, numTokens: 19, numDraft: 0 },
  ]);
});

test('sequences with nothing pending are left out', () => {
  assert.deepEqual(planStep([sequence(1, 0), sequence(2, 2)], ALL), [{ id: 2, numTokens: 2, numDraft: 0 }]);
  assert.deepEqual(planStep([], ALL), []);
});

test('while somebody decodes, prompts get no more than their rows; otherwise all', () => {
  const limits = { ...ALL, maxPrefillRows: 40 };
  const prompts = [sequence(1, 30), sequence(2, 30)];
  assert.deepEqual(planStep([...prompts, sequence(3, 1)], limits), [
    { id: 3, numTokens: 1, numDraft: 0 },
    { id: 1, numTokens: 30, numDraft: 0 },
    { id: 2, numTokens: 10, numDraft: 0 },
  ]);
  assert.equal(numRows(planStep(prompts, limits)), 60);
  assert.throws(() => planStep(prompts, { ...ALL, maxPrefillRows: 0 }), RangeError);
});

test('drafts follow their decode, and stay below the end of its open page', () => {
  const drafts = (numTokensToFull: number): number => planStep([sequence(1, 1, numTokensToFull, 5)], ALL)[0].numDraft;
  assert.equal(drafts(7), 5);
  assert.equal(drafts(6), 4);
  assert.equal(drafts(2), 0);
  assert.equal(drafts(1), 0);
  assert.throws(() => planStep([sequence(1, 2, 64, 1)], ALL), /sequence 1 has 1 drafts after 2 pending tokens/);
});

test('where rows are short the longest drafts shrink first, and nobody loses the decode itself', () => {
  const shares = (maxRows: number): number[] =>
    planStep([sequence(1, 1, 64, 8), sequence(2, 1, 64, 2), sequence(3, 1, 64, 6)], { ...ALL, maxRows }).map(
      ({ numDraft }) => numDraft,
    );
  assert.deepEqual(shares(19), [8, 2, 6]);
  assert.deepEqual(shares(17), [6, 2, 6]);
  assert.deepEqual(shares(12), [4, 2, 3]);
  assert.deepEqual(shares(7), [2, 1, 1]);
  assert.deepEqual(shares(3), [0, 0, 0]);
});

test('drafts come before prompts, but leave them half of the rows that they want', () => {
  const running = [sequence(1, 1, 64, 20), sequence(2, 50)];
  const plan = (maxRows: number): number[][] =>
    planStep(running, { ...ALL, maxRows }).map(({ numTokens, numDraft }) => [numTokens, numDraft]);
  assert.deepEqual(plan(61), [
    [1, 20],
    [40, 0],
  ]);
  assert.deepEqual(plan(21), [
    [1, 10],
    [10, 0],
  ]);
  assert.deepEqual(plan(2), [
    [1, 0],
    [1, 0],
  ]);
});

test('readers get a token every step while eight long prompts are computed, and no step is longer than the limit', () => {
  const limits = { maxRows: 256, prefillChunk: 256, maxPrefillRows: 32 };
  const prompts = Array.from({ length: 8 }, (_, id) => ({ id, left: 3000 }));
  let numSteps = 0;
  for (; prompts.some(({ left }) => left > 0); numSteps++) {
    const decodes = [100, 101, 102].map((id) => sequence(id, 1, 64, 4));
    const plan = planStep([...prompts.map(({ id, left }) => sequence(id, left)), ...decodes], limits);
    assert.deepEqual(
      plan
        .slice(0, 3)
        .map(({ id }) => id)
        .sort(),
      [100, 101, 102],
    );
    assert.ok(numRows(plan) <= 3 * (1 + 4) + 32);
    for (const { id, numTokens } of plan) if (id < 8) prompts[id].left -= numTokens;
  }
  assert.ok(numSteps <= Math.ceil((8 * 3000) / 32) + 8);
});

test('in 2,000 random cases no limit is broken, no sequence comes twice, and something runs if anything can', () => {
  const rng = xoroshiro128plus(5);
  for (let i = 0; i < 2000; i++) {
    const running = Array.from({ length: uniformInt(rng, 0, 6) }, (_, id) => {
      const numPending = uniformInt(rng, 0, 2) === 0 ? 1 : uniformInt(rng, 0, 200);
      return sequence(id, numPending, uniformInt(rng, 1, 68), numPending === 1 ? uniformInt(rng, 0, 12) : 0);
    });
    const maxPrefillRows = [Infinity, uniformInt(rng, 1, 60)][uniformInt(rng, 0, 1)];
    const limits = { maxRows: uniformInt(rng, 1, 150), prefillChunk: uniformInt(rng, 1, 100), maxPrefillRows };
    const plan = planStep(running, limits);
    assert.ok(numRows(plan) <= limits.maxRows);
    assert.equal(new Set(plan.map(({ id }) => id)).size, plan.length);
    const isDecode = (id: number): boolean => running[id].numPending === 1;
    for (const { id, numTokens, numDraft } of plan) {
      const { numPending, numTokensToFull } = running[id];
      assert.ok(numTokens > 0 && numTokens <= Math.min(numPending, numTokensToFull, limits.prefillChunk));
      assert.ok(numDraft >= 0 && numDraft <= running[id].numDraft);
      assert.ok(numDraft === 0 || (isDecode(id) && 1 + numDraft < numTokensToFull));
    }
    const numDecodes = running.filter(({ id }) => isDecode(id)).length;
    assert.equal(plan.filter(({ id }) => isDecode(id)).length, Math.min(numDecodes, limits.maxRows));
    const prefills = plan.filter(({ id }) => !isDecode(id));
    if (numDecodes > 0) assert.ok(numRows(prefills) <= limits.maxPrefillRows);
    // Prompts go on in every step that decodes leave a row.
    const isPromptLeft = running.some(({ numPending }) => numPending > 1);
    assert.equal(prefills.length > 0, isPromptLeft && numDecodes < limits.maxRows);
  }
});

function numRows(plan: readonly PlannedSegment[]): number {
  return plan.reduce((total, { numTokens, numDraft }) => total + numTokens + numDraft, 0);
}
