import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { charge, chargeAll, counterOf, forget, lift, serviceOf, type TenantCounters } from './fairness.ts';
import { orderWaiting, type WaitingRequest } from './queue-order.ts';
import { planStep } from './scheduler.ts';

function counters(entries: Record<string, number>): TenantCounters {
  return new Map(Object.entries(entries));
}

test('a prompt token weighs 1, a generated one 2, and the old map stays as it was', () => {
  const before = counters({ a: 5 });
  assert.deepEqual(charge(before, 'a', { inputTokens: 10, outputTokens: 3 }), counters({ a: 21 }));
  assert.deepEqual(charge(before, 'b', { inputTokens: 0, outputTokens: 1 }), counters({ a: 5, b: 2 }));
  assert.deepEqual(before, counters({ a: 5 }));
  const step = ['a', 'b', 'a'].map((tenant) => ({ tenant, inputTokens: 0, outputTokens: 1 }));
  assert.deepEqual(chargeAll(before, step), counters({ a: 9, b: 2 }));
  assert.throws(() => charge(before, 'a', { inputTokens: -1, outputTokens: 0 }), RangeError);
  assert.throws(() => charge(before, 'a', { inputTokens: NaN, outputTokens: 0 }), RangeError);
});

test('a tenant that comes back starts at the least active counter, but never loses what it was charged', () => {
  const before = counters({ a: 100, b: 70, c: 3, d: 90 });
  assert.equal(counterOf(lift(before, 'c', ['a', 'b']), 'c'), 70);
  assert.equal(counterOf(lift(before, 'new', ['a', 'b']), 'new'), 70);
  assert.equal(lift(before, 'd', ['a', 'b']), before);
  assert.equal(lift(before, 'c', ['c']), before);
  assert.equal(lift(before, 'c', []), before);
  assert.equal(counterOf(before, 'c'), 3);
});

test('idle tenants are forgotten where lifting them would bring them as far, and all when nobody is active', () => {
  const before = counters({ active: 50, low: 50, high: 51 });
  const after = forget(before, ['active']);
  assert.deepEqual(after, counters({ active: 50, high: 51 }));
  assert.deepEqual(lift(after, 'low', ['active']).get('low'), lift(before, 'low', ['active']).get('low'));
  assert.equal(forget(after, ['active']), after);
  assert.deepEqual(forget(before, []), counters({}));
});

test('of idle tenants that got more than an active one no more than the most served are remembered', () => {
  let all = counters({ active: 1 });
  for (let i = 0; i < 5000; i++) {
    all = forget(charge(all, `tenant ${i}`, { inputTokens: 2 + (i % 100), outputTokens: 0 }), ['active'], 20);
    assert.ok(all.size <= 21);
  }
  assert.deepEqual(
    [...all.values()].sort((a, b) => b - a),
    [...new Array<number>(20).fill(101), 1],
  );
});

interface Job extends WaitingRequest {
  readonly inputTokens: number;
  readonly outputTokens: number;
  numComputed: number;
  numGenerated: number;
}

const MAX_INPUT = 200;
const MAX_OUTPUT = 60;

/** Serves jobs as the engine does, and yields the service that each tenant got after every step. */
function* serve(jobs: readonly Job[], numSlots: number, isCharged = true): Generator<Map<string, number>> {
  const waiting = [...jobs];
  const running: Job[] = [];
  const served = new Map<string, number>();
  let virtual: TenantCounters = new Map();
  const serveTokens = (tenant: string, inputTokens: number, outputTokens: number): void => {
    served.set(tenant, (served.get(tenant) ?? 0) + serviceOf({ inputTokens, outputTokens }));
    if (isCharged) virtual = charge(virtual, tenant, { inputTokens, outputTokens });
  };
  while (waiting.length > 0) {
    while (running.length < numSlots && waiting.length > 0) {
      const [next] = orderWaiting(waiting, { policy: 'fcfs' }, virtual) as Job[];
      waiting.splice(waiting.indexOf(next), 1);
      running.push(next);
      serveTokens(next.tenant, next.inputTokens, 0);
    }
    const sequences = running.map(({ id, inputTokens, numComputed }) => {
      return { id, numPending: Math.max(1, inputTokens - numComputed), numTokensToFull: 64, numDraft: 0 };
    });
    for (const { id, numTokens } of planStep(sequences, { maxRows: 64, prefillChunk: 64, maxPrefillRows: 32 })) {
      const job = running.find((each) => each.id === id) as Job;
      job.numComputed += numTokens;
      if (job.numComputed < job.inputTokens) continue;
      job.numGenerated++;
      serveTokens(job.tenant, 0, 1);
      if (job.numGenerated === job.outputTokens) running.splice(running.indexOf(job), 1);
    }
    yield served;
  }
}

/** `greedy` sends ten times as many requests as `modest`, all at once; both always have some waiting. */
function makeJobs(seed: number): Job[] {
  const rng = xoroshiro128plus(seed);
  return Array.from({ length: 440 }, (_, id): Job => {
    const tenant = id % 11 === 10 ? 'modest' : 'greedy';
    const [inputTokens, outputTokens] = [uniformInt(rng, 1, MAX_INPUT), uniformInt(rng, 1, MAX_OUTPUT)];
    return { id, arrival: id, priority: 0, tenant, inputTokens, outputTokens, numComputed: 0, numGenerated: 0 };
  });
}

/** The largest difference of service while both tenants still have requests waiting. */
function largestDifference(seed: number, numSlots: number, isCharged?: boolean): number {
  let largest = 0;
  const jobs = makeJobs(seed);
  const modest = jobs.filter(({ tenant }) => tenant === 'modest');
  for (const served of serve(jobs, numSlots, isCharged)) {
    if (modest.every(({ numComputed }) => numComputed > 0)) break;
    largest = Math.max(largest, Math.abs((served.get('greedy') ?? 0) - (served.get('modest') ?? 0)));
  }
  return largest;
}

test('of two tenants with full queues, one with ten times the requests, both get the same within the bound of the paper', () => {
  for (const numSlots of [1, 4, 8]) {
    const bound = 2 * Math.max(MAX_INPUT, 2 * numSlots * (MAX_INPUT + MAX_OUTPUT));
    for (const seed of [1, 2, 3]) {
      const largest = largestDifference(seed, numSlots);
      assert.ok(largest <= bound, `${numSlots} slots, seed ${seed}: ${largest} is beyond ${bound}`);
      // What the requests themselves may differ by is far less than what the memory could hold.
      const requests = 2 * numSlots * serviceOf({ inputTokens: MAX_INPUT, outputTokens: MAX_OUTPUT });
      assert.ok(largest <= requests, `${numSlots} slots, seed ${seed}: ${largest} is beyond ${requests}`);
    }
  }
});

test('one at a time, they differ by at most twice the largest request', () => {
  const bound = 2 * serviceOf({ inputTokens: MAX_INPUT, outputTokens: MAX_OUTPUT });
  for (const seed of [1, 2, 3]) assert.ok(largestDifference(seed, 1) <= bound);
});

test('without counters the same queues would not be fair', () => {
  const uncharged = largestDifference(1, 4, false);
  assert.ok(uncharged > 2 * 4 * serviceOf({ inputTokens: MAX_INPUT, outputTokens: MAX_OUTPUT }), `${uncharged}`);
});
