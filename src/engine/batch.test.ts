import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PagePool } from '../cache/page-pool.ts';
import { SequencePages } from '../cache/sequence-pages.ts';
import type { StepPages } from '../kernels/kernels.ts';
import { createBatch } from './batch.ts';
import { createSequence, type SequenceState } from './sequence.ts';
import { letters, request } from './testing/tiny-engine.ts';

const GEOMETRY = { pageSize: 8, numSinkTokens: 4 };
const POOLS = {
  sealed: new PagePool('sealed', 8),
  open: new PagePool('open', 8),
  sink: new PagePool('sink', 8),
};
/** The batch only passes it on. */
const STEP_PAGES = {} as StepPages;

function runningSequence(id: number, numTokens: number, numComputed: number, changes = {}): SequenceState {
  const sequence = createSequence(id, request({ promptTokens: letters(numTokens, id), ...changes }), 100);
  const pages = new SequencePages(POOLS, GEOMETRY);
  for (let left = numComputed; left > 0;) {
    const count = Math.min(left, pages.numTokensToFull);
    pages.reserve(count);
    pages.commit(count);
    left -= count;
  }
  sequence.pages = pages;
  return sequence;
}

test('segments follow each other in the order of the plan, with the tokens and pages of their sequences', () => {
  const first = runningSequence(1, 20, 12);
  const second = runningSequence(2, 6, 5);
  const plan = [
    { id: 2, numTokens: 1, numDraft: 0 },
    { id: 1, numTokens: 8, numDraft: 0 },
  ];
  const { step, entries } = createBatch(plan, [first, second], STEP_PAGES);
  assert.deepEqual(step.tokenIds, [...second.tokens.slice(5, 6), ...first.tokens.slice(12, 20)]);
  assert.deepEqual(
    step.segments.map(({ firstRow, numRows, firstPosition }) => [firstRow, numRows, firstPosition]),
    [
      [0, 1, 5],
      [1, 8, 12],
    ],
  );
  assert.equal(step.segments[0].sealInto, undefined);
  assert.equal(step.segments[1].sealedPages.length, 1);
  assert.notEqual(step.segments[1].sealInto, undefined); // 20 = 4 + 2 * 8: the page is full
  assert.ok(step.segments.every(({ pages }) => pages === STEP_PAGES));
  assert.deepEqual(step.outputRows, [0, 8]);
  assert.deepEqual(
    entries.map(({ sequence, outputs }) => [sequence.id, outputs]),
    [
      [2, [{ position: 5, outputRow: 0 }]],
      [1, [{ position: 19, outputRow: 1 }]],
    ],
  );
});

test('logits are computed where someone wants them: log-probabilities, and the next token at the end of the prompt', () => {
  const outputsOf = (numTokens: number, changes: object): number[] => {
    const sequence = runningSequence(1, 12, 0, changes);
    return createBatch([{ id: 1, numTokens, numDraft: 0 }], [sequence], STEP_PAGES).entries[0].outputs.map(
      ({ position }) => position,
    );
  };
  assert.deepEqual(outputsOf(7, {}), []);
  assert.deepEqual(outputsOf(12, {}), [11]);
  assert.deepEqual(outputsOf(12, { maxTokens: 0 }), []);
  assert.deepEqual(outputsOf(12, { logProbsAt: [0, 11] }), [0, 11]);
  assert.deepEqual(outputsOf(7, { logProbsAt: [0, 6, 7, 11] }), [0, 6]);
  assert.deepEqual(outputsOf(12, { logProbsAt: [3], maxTokens: 0 }), [3]);
});

test('a plan that names a sequence which does not run is an error', () => {
  assert.throws(() => createBatch([{ id: 9, numTokens: 1, numDraft: 0 }], [], STEP_PAGES), /names sequence 9/);
});
