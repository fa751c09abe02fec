import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookupSpeculator } from './lookup-speculator.ts';
import { createRandom } from './testing/random.ts';
import { simulate, simulateBest, type SimulatedText } from './testing/simulate.ts';
import { brokenCopies, editedText, freeText, mixedText } from './testing/texts.ts';

/**
 * Simulations: no model runs. Texts are those of a book with copies and edits made by a seeded generator, a step of r rows takes
 * fixedMs + r * rowMs, and the speculator sees times with noise, a tenth of them up to four times too long.
 */
const SHARES = [0.02, 0.1, 0.2, 0.25, 0.3];

function speedUps(text: SimulatedText): { share: number; speedUp: number; best: number }[] {
  return SHARES.map((share) => {
    const random = createRandom(7);
    const noise = (): number => (random() < 0.1 ? 1 + 3 * random() : 1 + 0.1 * random());
    const cost = { fixedMs: 10 * (1 - share), rowMs: 10 * share };
    return { share, speedUp: simulate(text, { ...cost, noise }).speedUp, best: simulateBest(text, cost) };
  });
}

function assertNeverLoses(name: string, text: SimulatedText): void {
  for (const { share, speedUp } of speedUps(text)) {
    assert.ok(speedUp >= 0.97, `${name}: ${speedUp.toFixed(3)} times as fast where a row is ${share} of a step`);
  }
}

test('simulated: free text is never slower than .97 times, for five places of a book and short and long answers', () => {
  for (const start of [0, 300, 700, 1100, 1500]) {
    assertNeverLoses(`48 tokens from ${start}`, freeText(64, 48, start));
    assertNeverLoses(`200 tokens from ${start}`, freeText(64, 200, start));
  }
  assertNeverLoses('long', freeText(1000, 1000));
});

test('simulated: no copy rate is slower than .97 times, nor are copies that always break off after as many tokens', () => {
  for (const seed of [1, 2, 3]) {
    for (const rate of [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]) assertNeverLoses(`rate ${rate}`, mixedText(rate, 600, seed));
    for (const span of [2, 3, 4, 5, 6, 8, 10, 12, 14, 20, 30]) {
      assertNeverLoses(`copies of ${span} tokens`, brokenCopies(span, 600, seed));
    }
    for (const distance of [5, 10, 20, 50])
      assertNeverLoses(`edits ${distance} apart`, editedText(600, distance, seed));
  }
});

test('simulated: text repeated with one change is decoded at least 2.3 times as fast, and at 65% of what perfect lengths would give', () => {
  for (const seed of [1, 2, 3]) {
    for (const { share, speedUp, best } of speedUps(editedText(400, 400, seed, 200 * seed))) {
      assert.ok(speedUp > 2.3, `${speedUp} times, row ${share}`);
      assert.ok(speedUp > 0.65 * best, `${speedUp} of ${best} times, row ${share}`);
    }
  }
});

test('simulated: with an edit every twenty tokens, copies are still decoded at least 1.6 times as fast', () => {
  for (const seed of [1, 2, 3]) {
    for (const { share, speedUp } of speedUps(editedText(600, 20, seed, 200 * seed))) {
      assert.ok(speedUp > 1.6, `${speedUp} times, row ${share}`);
    }
  }
});

test('drafts nothing where there is no room, and no more than there is', () => {
  const tokens = [...freeText(40, 1).prompt, ...freeText(40, 1).prompt];
  const speculator = new LookupSpeculator({ cost: { fixedMs: 9, rowMs: 0.1 } });
  assert.deepEqual(speculator.draft(tokens, { maxTokens: 0, numOtherRows: 0 }), []);
  assert.equal(speculator.draft(tokens, { maxTokens: 2, numOtherRows: 0 }).length, 2);
});

test('counts what became of drafts, and refuses sums that cannot be', () => {
  const speculator = new LookupSpeculator({ cost: { fixedMs: 9, rowMs: 1 } });
  speculator.observe({ drafted: 0, accepted: 0 });
  speculator.observe({ drafted: 5, accepted: 2 });
  speculator.observe({ drafted: 3, accepted: 3 });
  const { drafted, accepted, steps } = speculator.stats;
  assert.deepEqual({ drafted, accepted, steps }, { drafted: 8, accepted: 5, steps: 2 });
  assert.throws(() => speculator.observe({ drafted: 1, accepted: 2 }), /2 of 1 drafts were accepted/);
});

test('speculates as before after a release', () => {
  const { prompt, answer } = editedText(200, 30, 5);
  const tokens = [...prompt, ...answer.slice(0, 100)];
  const speculator = new LookupSpeculator({ cost: { fixedMs: 9, rowMs: 0.5 } });
  const limits = { maxTokens: 16, numOtherRows: 0 };
  const first = speculator.draft(tokens, limits);
  speculator.release();
  assert.deepEqual(speculator.draft(tokens, limits), first);
});
