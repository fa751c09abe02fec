import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Drafter } from './drafter.ts';
import { ModelSpeculator } from './model-speculator.ts';
import { createRandom } from './testing/random.ts';

/** Milliseconds of a step of one row. */
const STEP_MS = 10;

interface Simulated {
  readonly speedUp: number;
  readonly numCalls: number;
  readonly lengths: readonly number[];
}

/**
 * A simulation: the draft's tokens are right with a chance that depends on the position, a draft takes `draftMs` and a row a share of a
 * step. No model runs.
 */
async function simulateModel(
  chanceAt: (position: number) => number,
  { share, draftMs, numTokens = 600 }: { share: number; draftMs: number; numTokens?: number },
): Promise<Simulated> {
  const random = createRandom(4);
  const lengths: number[] = [];
  let [ms, drafting] = [0, 0];
  const drafter: Drafter = {
    propose: async (_tokens, maxTokens) => {
      drafting++;
      lengths.push(maxTokens);
      ms += maxTokens * draftMs;
      return new Array<number>(maxTokens).fill(0);
    },
    release: () => undefined,
  };
  const cost = { fixedMs: STEP_MS * (1 - share), rowMs: STEP_MS * share };
  const speculator = new ModelSpeculator(drafter, { cost }, () => ms);
  let length = 1;
  while (length <= numTokens) {
    const drafts = await speculator.draft(new Array<number>(length).fill(0), { maxTokens: 16, numOtherRows: 0 });
    let accepted = 0;
    while (accepted < drafts.length && random() < chanceAt(length + accepted)) accepted++;
    ms += cost.fixedMs + (1 + drafts.length) * cost.rowMs;
    speculator.observe({ drafted: drafts.length, accepted });
    length += accepted + 1;
  }
  return { speedUp: ((length - 1) * STEP_MS) / ms, numCalls: drafting, lengths };
}

test('simulated: drafts that are mostly right are used, more of them the better they are', async () => {
  const good = await simulateModel(() => 0.8, { share: 0.2, draftMs: 1 });
  const better = await simulateModel(() => 0.95, { share: 0.2, draftMs: 1 });
  assert.ok(good.speedUp > 1.3, `${good.speedUp}`);
  assert.ok(better.speedUp > 1.9, `${better.speedUp}`);
  const mean = ({ lengths }: Simulated): number => lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  assert.ok(mean(better) > mean(good));
});

test('simulated: drafts that are wrong, or dear, cost at most 3%', async () => {
  for (const chance of [0, 0.2, 0.4]) {
    const { speedUp } = await simulateModel(() => chance, { share: 0.25, draftMs: 2 });
    assert.ok(speedUp > 0.97, `${speedUp} with a chance of ${chance}`);
  }
  const dear = await simulateModel(() => 0.9, { share: 0.25, draftMs: 12 });
  assert.ok(dear.speedUp > 0.95, `${dear.speedUp}`);
});

test('simulated: where drafts fail they are tried ever more rarely, and are used again when they are right', async () => {
  const never = await simulateModel(() => 0, { share: 0.25, draftMs: 2, numTokens: 4000 });
  assert.ok(never.numCalls < 16, `${never.numCalls} calls`);
  const later = await simulateModel((position) => (position < 300 ? 0 : 0.95), {
    share: 0.2,
    draftMs: 1,
    numTokens: 3000,
  });
  assert.ok(later.speedUp > 1.5, `${later.speedUp}`);
});

test('a drafter that has not taken in the sequence yet is asked again at once', async () => {
  let numCalls = 0;
  const propose = (): readonly number[] => (++numCalls < 4 ? [] : [7]);
  const speculator = new ModelSpeculator(
    { propose, release: () => undefined },
    { cost: { fixedMs: 9, rowMs: 1 } },
    () => 0,
  );
  const limits = { maxTokens: 4, numOtherRows: 0 };
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await speculator.draft([1], limits), []);
    speculator.observe({ drafted: 0, accepted: 0 });
  }
  assert.deepEqual(await speculator.draft([1], limits), [7]);
});
