import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { orderWaiting, type QueuePolicy, type WaitingRequest } from './queue-order.ts';

const NO_SERVICE = new Map<string, number>();

function request(id: number, changes: Partial<WaitingRequest> = {}): WaitingRequest {
  return { id, arrival: id, priority: 0, tenant: 'a', ...changes };
}

function order(waiting: WaitingRequest[], policy: QueuePolicy = 'fcfs', counters = NO_SERVICE): number[] {
  return orderWaiting(waiting, { policy }, counters).map(({ id }) => id);
}

test('requests of one tenant go in the order of their arrival, then of their ids', () => {
  assert.deepEqual(
    order([request(1, { arrival: 9 }), request(3, { arrival: 4 }), request(2, { arrival: 4 })]),
    [2, 3, 1],
  );
  assert.deepEqual(order([]), []);
});

test('priority goes first under `priority`, and does not count under `fcfs`', () => {
  const waiting = [request(1), request(2, { priority: 5 }), request(3, { priority: -1 }), request(4, { priority: 5 })];
  assert.deepEqual(order(waiting, 'priority'), [2, 4, 1, 3]);
  assert.deepEqual(order(waiting, 'fcfs'), [1, 2, 3, 4]);
});

test('the tenant that got the least service goes first, within its priority', () => {
  const waiting = [request(1), request(2, { tenant: 'b' }), request(3, { tenant: 'c', priority: 1 })];
  const counters = new Map([
    ['a', 10],
    ['b', 5],
    ['c', 1000],
  ]);
  assert.deepEqual(order(waiting, 'fcfs', counters), [2, 1, 3]);
  assert.deepEqual(order(waiting, 'priority', counters), [3, 2, 1]);
});

test('what goes first counts as service: tenants take turns, by the length of their prompts', () => {
  const waiting = [1, 2, 3, 4].map((id) => request(id)).concat([5, 6].map((id) => request(id, { tenant: 'b' })));
  assert.deepEqual(order(waiting), [1, 5, 2, 6, 3, 4]);
  const long = waiting.map((each) => ({ ...each, inputTokens: each.tenant === 'a' ? 10 : 20 }));
  assert.deepEqual(order(long), [1, 5, 2, 3, 6, 4]);
});

test('in 300 random queues nothing is lost or doubled, arrivals of a tenant stay in order, the first is least served', () => {
  const rng = xoroshiro128plus(11);
  for (let i = 0; i < 300; i++) {
    const waiting = Array.from({ length: uniformInt(rng, 1, 30) }, (_, id) =>
      request(id, {
        arrival: uniformInt(rng, 0, 20),
        priority: uniformInt(rng, 0, 2),
        tenant: 'abcd'[uniformInt(rng, 0, 3)],
        inputTokens: uniformInt(rng, 1, 100),
      }),
    );
    const counters = new Map([...'abc'].map((tenant) => [tenant, uniformInt(rng, 0, 300)]));
    const before = structuredClone(waiting);
    for (const policy of ['fcfs', 'priority'] as const) {
      const ordered = orderWaiting(waiting, { policy }, counters);
      assert.deepEqual(
        [...ordered].sort((a, b) => a.id - b.id),
        waiting,
      );
      const level = (each: WaitingRequest): number => (policy === 'priority' ? each.priority : 0);
      ordered.slice(1).forEach((each, index) => assert.ok(level(ordered[index]) >= level(each)));
      const firstLevel = waiting.filter((each) => level(each) === level(ordered[0]));
      const service = ({ tenant }: WaitingRequest): number => counters.get(tenant) ?? 0;
      assert.equal(service(ordered[0]), Math.min(...firstLevel.map(service)));
      for (const tenant of 'abcd') {
        const own = ordered.filter((each) => each.tenant === tenant);
        own.slice(1).forEach((each, index) => {
          assert.ok(level(own[index]) > level(each) || own[index].arrival <= each.arrival);
        });
      }
    }
    assert.deepEqual(waiting, before);
  }
});
