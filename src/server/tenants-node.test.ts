import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Tenants } from './tenants-node.ts';

describe('tenants', () => {
  it('are found by their keys alone, each another, and their ids do not hold the key', () => {
    const tenants = new Tenants(['first-secret', 'second-secret']);
    const [first, second] = ['first-secret', 'second-secret'].map((key) => tenants.find(key));
    assert.deepEqual([first?.number, second?.number], [1, 2]);
    assert.notEqual(first?.id, second?.id);
    assert.match(first?.id ?? '', /^[0-9a-f]{64}$/);
    for (const key of ['', 'first-secre', 'First-secret', 'first-secret ']) assert.equal(tenants.find(key), undefined);
    assert.equal(new Tenants(['first-secret']).find('first-secret')?.id, first?.id, 'the same after a restart');
  });

  it('may read metrics if they are the only one, or if their key is for that', () => {
    assert.equal(new Tenants(['one']).find('one')?.mayReadMetrics, true);
    assert.equal(new Tenants(['one', 'two']).find('two')?.mayReadMetrics, false);
    const withMetrics = new Tenants(['one'], 'metrics');
    assert.deepEqual([withMetrics.find('one')?.mayReadMetrics, withMetrics.find('one')?.mayUseModel], [false, true]);
    const metrics = withMetrics.find('metrics');
    assert.deepEqual([metrics?.mayReadMetrics, metrics?.mayUseModel], [true, false]);
  });
});
