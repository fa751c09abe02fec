import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planAdmission } from './admission-plan.ts';

test('a sequence starts where its pages fit beside what the running ones are about to take', () => {
  const capacity = { freeUnits: 10, evictableUnits: 5, growthUnits: 4 };
  assert.equal(planAdmission({ units: 11 }, capacity), true);
  assert.equal(planAdmission({ units: 12 }, capacity), false);
  assert.equal(planAdmission({ units: 0 }, { ...capacity, growthUnits: 16 }), false);
});

test('where nobody runs, all that fits at all starts', () => {
  const capacity = { freeUnits: 3, evictableUnits: 7, growthUnits: 0 };
  assert.equal(planAdmission({ units: 10 }, capacity), true);
  assert.equal(planAdmission({ units: 11 }, capacity), false);
});
