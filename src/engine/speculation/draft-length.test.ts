import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseDraftLength, costOfDraft, DraftCredit } from './draft-length.ts';

const COST = { fixedMs: 8, rowMs: 2 };
const ALONE = { maxTokens: 64, numOtherRows: 0 };

test('chooses the length with most expected tokens for the time, compared with all lengths for constant chances', () => {
  for (const chance of [0.05, 0.2, 0.5, 0.8, 0.95, 1]) {
    for (const rowMs of [0.1, 1, 2, 4, 10]) {
      const rate = (n: number): number => {
        let tokens = 1;
        for (let i = 1; i <= n; i++) tokens += chance ** i;
        return tokens / (10 + n * rowMs);
      };
      const cost = { fixedMs: 10 - rowMs, rowMs };
      const length = chooseDraftLength(() => chance, cost, ALONE);
      const lengths = Array.from({ length: 65 }, (_, n) => n);
      const best = lengths.reduce((a, b) => (rate(b) > rate(a) ? b : a));
      if (length > 0) assert.equal(length, best, `chance ${chance}, row ${rowMs}`);
      else assert.ok(rate(best) <= 1.03 * rate(0), `chance ${chance}, row ${rowMs}: ${best} would gain`);
    }
  }
});

test('drafts less the more other rows share the step, since they pay its fixed cost already', () => {
  const lengths = [0, 1, 3, 15].map((numOtherRows) =>
    chooseDraftLength(() => 0.8, COST, { maxTokens: 64, numOtherRows }),
  );
  assert.deepEqual(
    lengths,
    [...lengths].sort((a, b) => b - a),
  );
  assert.ok(lengths[0] > 2);
  assert.equal(lengths[3], 0);
});

test('keeps to the most that there is room for, and counts what making drafts takes', () => {
  assert.equal(
    chooseDraftLength(() => 1, COST, { maxTokens: 3, numOtherRows: 0 }),
    3,
  );
  assert.equal(
    chooseDraftLength(() => 1, COST, { maxTokens: 0, numOtherRows: 0 }),
    0,
  );
  assert.equal(
    chooseDraftLength(() => 0.9, COST, ALONE, 20),
    0,
  );
});

test('a draft costs its share of a step, more tokens the more others share the step, and what making it takes', () => {
  assert.equal(costOfDraft(COST, 0), 0.2);
  assert.equal(costOfDraft(COST, 3), 0.5);
  assert.equal(costOfDraft(COST, 0, 3), 0.5);
});

test('credit: wrong drafts use it up, tokens and right drafts bring it back', () => {
  const credit = new DraftCredit();
  assert.equal(credit.mostDrafts(0.2), 3);
  credit.count(4, 0, 0.2);
  assert.equal(credit.mostDrafts(0.2), 0);
  credit.count(4, 4, 0.2);
  assert.ok(credit.mostDrafts(0.2) >= 15);
  for (let i = 0; i < 100; i++) credit.count(8, 0, 0.2);
  assert.equal(credit.mostDrafts(0.2), 0);
  credit.earn(110);
  assert.equal(credit.mostDrafts(0.2), 1);
});
