import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { withinQuota } from './tenant-quota.ts';

test('a tenant without a quota may have everything', () => {
  const decision = withinQuota({ heldUnits: 1e9, evictableUnits: 0 }, { units: 5, unitsAlone: 1e9 }, undefined);
  assert.deepEqual(decision, { kind: 'admit', evictUnits: 0 });
});

test('a tenant evicts its own cache first, then waits; what can never fit is refused', () => {
  const need = { units: 10, unitsAlone: 12 };
  const decide = (heldUnits: number, evictableUnits: number) => withinQuota({ heldUnits, evictableUnits }, need, 100);
  assert.deepEqual(decide(90, 0), { kind: 'admit', evictUnits: 0 });
  assert.deepEqual(decide(95, 5), { kind: 'admit', evictUnits: 5 });
  assert.deepEqual(decide(95, 4), { kind: 'wait' });
  assert.deepEqual(withinQuota({ heldUnits: 0, evictableUnits: 0 }, need, 12), { kind: 'admit', evictUnits: 0 });
  assert.deepEqual(withinQuota({ heldUnits: 0, evictableUnits: 0 }, need, 11), { kind: 'refuse' });
});

test('in 2,000 random cases a tenant that has nothing running never waits, and eviction is enough', () => {
  const rng = xoroshiro128plus(3);
  for (let i = 0; i < 2000; i++) {
    const quota = uniformInt(rng, 1, 100);
    const unitsAlone = uniformInt(rng, 1, 120);
    const hitUnits = uniformInt(rng, 0, unitsAlone);
    const heldUnits = Math.min(quota, hitUnits + uniformInt(rng, 0, 100));
    if (heldUnits < hitUnits) continue;
    const evictableUnits = heldUnits - hitUnits;
    const units = unitsAlone - hitUnits;
    const decision = withinQuota({ heldUnits, evictableUnits }, { units, unitsAlone }, quota);
    assert.equal(decision.kind, unitsAlone > quota ? 'refuse' : 'admit');
    if (decision.kind !== 'admit') continue;
    assert.ok(decision.evictUnits <= evictableUnits);
    assert.ok(heldUnits - decision.evictUnits + units <= quota);
  }
});
