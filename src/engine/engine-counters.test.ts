import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineCounters } from './engine-counters.ts';

test('sums are kept for all and for each tenant, and a tenant that was never counted has zeros', () => {
  const counters = new EngineCounters();
  counters.add('a', { queriedTokens: 10, hitTokens: 4 });
  counters.add('b', { queriedTokens: 5 });
  counters.add('a', { hitTokens: 1, preemptions: 1 });
  assert.deepEqual([counters.get('a').queriedTokens, counters.get('a').hitTokens], [10, 5]);
  assert.equal(counters.get('b').queriedTokens, 5);
  assert.deepEqual([counters.get().queriedTokens, counters.get().hitTokens, counters.get().preemptions], [15, 5, 1]);
  assert.ok(Object.values(counters.get('c')).every((value) => value === 0));
});

test('what was handed out does not change any more', () => {
  const counters = new EngineCounters();
  const before = counters.get();
  counters.add('a', { generatedTokens: 1 });
  assert.equal(before.generatedTokens, 0);
});

test('the tenant that was counted least recently is forgotten where there are too many; the total is not', () => {
  const counters = new EngineCounters(2);
  for (const tenant of ['a', 'b', 'a', 'c']) counters.add(tenant, { generatedTokens: 1 });
  assert.equal(counters.get('a').generatedTokens, 2);
  assert.equal(counters.get('b').generatedTokens, 0);
  assert.equal(counters.get('c').generatedTokens, 1);
  assert.equal(counters.get().generatedTokens, 4);
});
