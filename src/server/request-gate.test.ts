import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestGate } from './request-gate.ts';

const gate = (options: Partial<ConstructorParameters<typeof RequestGate>[0]> = {}): RequestGate =>
  new RequestGate({ maxSequences: 2, maxQueue: 4, maxQueuePerTenant: 2, ...options });

const busy = { statusCode: 429, code: 'queue_full', headers: { 'retry-after': '1' } };

describe('the gate', () => {
  it('lets in as many answers as may run and wait', () => {
    const full = gate({ maxQueuePerTenant: 4 });
    const leave = full.enter('a', 4, 'n');
    full.enter('b', 2, 'n');
    assert.equal(full.numInside, 6);
    assert.throws(() => full.enter('c', 1, 'n'), busy);
    leave();
    leave();
    assert.equal(full.numInside, 2, 'leaving twice counts once');
    full.enter('c', 4, 'n');
  });

  it('lets no tenant have more than its share of the queue', () => {
    const shared = gate();
    shared.enter('a', 4, 'n');
    assert.throws(() => shared.enter('a', 1, 'n'), busy);
    shared.enter('b', 2, 'n');
  });

  it('refuses for good what there will never be room for', () => {
    assert.throws(() => gate().enter('a', 5, 'n'), {
      statusCode: 400,
      param: 'n',
      message: /at a time: ask for at most 4$/,
    });
  });

  it('lets nobody in once it is closed, and tells when all have left', async () => {
    const closing = gate();
    const leaves = [closing.enter('a', 1, 'n'), closing.enter('b', 2, 'n')];
    closing.close();
    assert.throws(() => closing.enter('a', 1, 'n'), { statusCode: 503, code: 'server_shutting_down' });
    let isEmpty = false;
    const empty = closing.empty().then(() => (isEmpty = true));
    leaves[0]();
    await Promise.resolve();
    assert.equal(isEmpty, false);
    leaves[1]();
    await empty;
  });
});
