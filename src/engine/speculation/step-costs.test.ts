import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StepCosts } from './step-costs.ts';
import { createRandom } from './testing/random.ts';

function assertNear(found: number, expected: number, share: number): void {
  assert.ok(Math.abs(found - expected) <= share * expected, `${found} is not within ${share} of ${expected}`);
}

test('finds the line of steps that follow one (3%)', () => {
  for (const share of [0.02, 0.1, 0.3, 0.6]) {
    const costs = new StepCosts();
    for (let i = 0; i < 60; i++) {
      const numRows = 1 + (i % 12);
      costs.observe({ numRows, numSequences: 1, ms: 20 * (1 - share) + 20 * share * numRows });
    }
    assertNear(costs.cost.fixedMs, 20 * (1 - share), 0.03);
    assertNear(costs.cost.rowMs, 20 * share, 0.03);
  }
});

test('finds it (20%) though one in eight steps takes up to ten times as long', () => {
  const random = createRandom(11);
  const costs = new StepCosts();
  for (let i = 0; i < 96; i++) {
    const numRows = i % 3 === 0 ? 1 + Math.floor(random() * 16) : 1;
    const noise = random() < 0.125 ? 1 + 9 * random() : 1 + 0.05 * random();
    costs.observe({ numRows, numSequences: 1, ms: (10 + 3 * numRows) * noise });
  }
  assertNear(costs.cost.fixedMs, 10, 0.2);
  assertNear(costs.cost.rowMs, 3, 0.2);
});

test('assumes a row to be a quarter of a step before it has seen other numbers of rows, however slow the machine', () => {
  const costs = new StepCosts();
  assert.deepEqual(costs.cost, { fixedMs: 0.75, rowMs: 0.25 });
  for (let i = 0; i < 30; i++) costs.observe({ numRows: 1, numSequences: 1, ms: 400 });
  assertNear(costs.cost.fixedMs, 300, 0.03);
  assertNear(costs.cost.rowMs, 100, 0.03);
});

test('one step that was disturbed does not make rows look dear (below half of a step)', () => {
  const costs = new StepCosts();
  for (let i = 0; i < 30; i++) costs.observe({ numRows: 1, numSequences: 1, ms: 10 });
  costs.observe({ numRows: 6, numSequences: 1, ms: 120 });
  const { fixedMs, rowMs } = costs.cost;
  assert.ok(rowMs < 0.5 * (fixedMs + rowMs), `${rowMs} of ${fixedMs + rowMs} ms`);
});

test('follows a machine that becomes slower within a hundred steps (10%)', () => {
  const costs = new StepCosts();
  for (let i = 0; i < 200; i++) {
    const scale = i < 100 ? 1 : 3;
    const numRows = 1 + (i % 5);
    costs.observe({ numRows, numSequences: 1, ms: scale * (8 + 2 * numRows) });
  }
  assertNear(costs.cost.fixedMs, 24, 0.1);
  assertNear(costs.cost.rowMs, 6, 0.1);
});

test('costs are above 0 whatever was measured, and steps without rows or time are mistakes', () => {
  const costs = new StepCosts();
  costs.observe({ numRows: 1, numSequences: 1, ms: 50 });
  costs.observe({ numRows: 30, numSequences: 1, ms: 1 });
  assert.ok(costs.cost.fixedMs > 0 && costs.cost.rowMs > 0);
  assert.throws(() => costs.observe({ numRows: 0, numSequences: 0, ms: 1 }), RangeError);
  assert.throws(() => costs.observe({ numRows: 1, numSequences: 1, ms: NaN }), RangeError);
});
