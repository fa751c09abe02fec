import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TenantService } from './tenant-service.ts';

test('prompts are charged when they start, tokens of answers when they come', () => {
  const service = new TenantService();
  service.arrived('a', []);
  service.admitted('a', 10);
  service.served(['a', 'b', 'a']);
  service.served([]);
  assert.deepEqual(
    [...service.counters],
    [
      ['a', 14],
      ['b', 2],
    ],
  );
});

test('whoever comes anew begins where those who wait are, or who left the queue last if nobody waits', () => {
  const service = new TenantService();
  service.admitted('a', 10);
  service.arrived('b', ['a']);
  assert.equal(service.counters.get('b'), 10);
  service.admitted('b', 5);
  service.arrived('c', []);
  assert.equal(service.counters.get('c'), 15);
  service.served(['a', 'a', 'a']);
  service.arrived('d', ['a', 'c']);
  assert.equal(service.counters.get('d'), 15);
  service.arrived('c', ['c', 'a']); // waits already
  assert.equal(service.counters.get('c'), 15);
});

test('tenants that have nothing under way are forgotten unless they got more, and all when nobody has', () => {
  const service = new TenantService();
  service.admitted('a', 10);
  service.admitted('b', 50);
  service.admitted('c', 20);
  service.ended(['c']);
  assert.deepEqual([...service.counters.keys()], ['b', 'c']);
  service.ended([]);
  assert.equal(service.counters.size, 0);
  service.arrived('d', []);
  assert.equal(service.counters.get('d'), undefined);
});
