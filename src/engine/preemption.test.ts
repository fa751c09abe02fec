import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { chooseVictim, outranks, type RunningPages } from './preemption.ts';

function pages(id: number, changes: Partial<RunningPages> = {}): RunningPages {
  return { id, arrival: id, priority: 0, tenant: 'a', numUnits: 1, isPreemptible: true, ...changes };
}

test('the lowest priority goes first, then the tenant with most service, then the latest arrival', () => {
  const needing = pages(0, { priority: 9 });
  const running = [needing, pages(1), pages(2), pages(3, { tenant: 'b' }), pages(4, { priority: 1 })];
  assert.equal(chooseVictim(running, needing), 3);
  assert.equal(chooseVictim(running, needing, new Map([['a', 5]])), 2);
  assert.equal(chooseVictim([...running, pages(5, { priority: -1 })], needing, new Map([['a', 5]])), 5);
  assert.equal(chooseVictim([needing, pages(4, { priority: 1 })], needing), 4);
});

test('nobody takes pages of one that is older and of at least the same priority: it gives up its own', () => {
  const needing = pages(3);
  assert.equal(chooseVictim([pages(1), pages(2), needing], needing), 3);
  assert.equal(chooseVictim([pages(1), needing, pages(4, { priority: 1 })], needing), 3);
  assert.equal(chooseVictim([pages(1), needing, pages(4)], needing), 4);
  assert.equal(chooseVictim([pages(1, { priority: -1 }), needing], needing), 1);
});

test('who has no units, or cannot go on, is left alone', () => {
  const needing = pages(1);
  assert.equal(
    chooseVictim([needing, pages(2, { numUnits: 0 }), pages(3, { isPreemptible: false })], needing),
    undefined,
  );
  const last = pages(4, { isPreemptible: false });
  assert.equal(chooseVictim([pages(1), last], last), undefined);
  assert.equal(chooseVictim([needing], needing), undefined);
});

test('in 5,000 random cases the highest ranked is never chosen, and no victim outranks the one in need', () => {
  const rng = xoroshiro128plus(8);
  for (let i = 0; i < 5000; i++) {
    const running = Array.from({ length: uniformInt(rng, 1, 7) }, (_, id) =>
      pages(id, {
        arrival: uniformInt(rng, 0, 4),
        priority: uniformInt(rng, 0, 2),
        tenant: 'abc'[uniformInt(rng, 0, 2)],
        numUnits: uniformInt(rng, 0, 2),
        isPreemptible: uniformInt(rng, 0, 4) > 0,
      }),
    );
    const needing = running[uniformInt(rng, 0, running.length - 1)];
    const counters = new Map([...'abc'].map((tenant) => [tenant, uniformInt(rng, 0, 3)]));
    const victim = running.find(({ id }) => id === chooseVictim(running, needing, counters));
    const [highest] = [...running].sort((a, b) => (outranks(a, b) ? -1 : 1));
    assert.notEqual(victim, highest);
    if (victim && victim !== needing)
      assert.ok(victim.isPreemptible && victim.numUnits > 0 && outranks(needing, victim));
    if (victim || needing !== highest) continue;
    assert.ok(running.every((each) => each === needing || each.numUnits === 0 || !each.isPreemptible));
  }
});

interface Job extends RunningPages {
  readonly length: number;
  numUnits: number;
  numTokens: number;
}

/** Jobs that take a unit every `TOKENS_PER_UNIT` tokens, in a memory that holds few of them; a preempted one starts anew. */
const TOKENS_PER_UNIT = 4;
const TOTAL_UNITS = 12;

/** One step: admits at random, without any caution, then lets each running job compute a token. */
function step(waiting: Job[], running: Job[], rng: RandomGenerator): void {
  const numFree = (): number => TOTAL_UNITS - running.reduce((total, { numUnits }) => total + numUnits, 0);
  while (waiting.length > 0 && running.length < 4 && numFree() > 0) {
    const [job] = waiting.splice(uniformInt(rng, 0, waiting.length - 1), 1);
    running.push(job);
  }
  for (const job of [...running]) {
    while (running.includes(job) && job.numTokens % TOKENS_PER_UNIT === 0 && numFree() === 0) {
      const victim = running.find(({ id }) => id === chooseVictim(running, job)) as Job;
      assert.ok(victim, 'jobs that fit alone always get room');
      running.splice(running.indexOf(victim), 1);
      waiting.push(Object.assign(victim, { numUnits: 0, numTokens: 0 }));
    }
    if (!running.includes(job)) continue;
    if (job.numTokens % TOKENS_PER_UNIT === 0) job.numUnits++;
    job.numTokens++;
    if (job.numTokens === job.length) running.splice(running.indexOf(job), 1);
  }
}

test('300 random loads that do not fit together end, each highest ranked running job going on at every step', () => {
  const rng = xoroshiro128plus(21);
  for (let i = 0; i < 300; i++) {
    const waiting = Array.from({ length: 12 }, (_, id): Job => {
      const length = uniformInt(rng, 1, TOTAL_UNITS * TOKENS_PER_UNIT);
      return { ...pages(id, { priority: uniformInt(rng, 0, 1) }), length, numUnits: 0, numTokens: 0 };
    });
    const running: Job[] = [];
    let numSteps = 0;
    for (; waiting.length + running.length > 0; numSteps++) {
      const [highest] = [...running].sort((a, b) => (outranks(a, b) ? -1 : 1));
      const numTokens = highest?.numTokens;
      step(waiting, running, rng);
      // It computed a token, unless one of still higher rank came and took its pages.
      if (running[0] && highest && !running.some((each) => outranks(each, highest))) {
        assert.ok(highest.numTokens === numTokens + 1, `job ${highest.id} stands still`);
      }
      assert.ok(numSteps < 12 * 12 * TOTAL_UNITS * TOKENS_PER_UNIT, 'no end');
    }
  }
});
