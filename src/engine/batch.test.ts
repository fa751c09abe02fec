import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PagePool } from '../cache/page-pool.ts';
import { rootKey } from '../cache/prefix-key.ts';
import { SequencePages, type PageShape } from '../cache/sequence-pages.ts';
import type { StepPages } from '../kernels/kernels.ts';
import { createBatch } from './batch.ts';
import type { KvCache } from './kv-memory.ts';
import { KvSequence } from './kv-sequence.ts';
import { createSequence, pagesOf, type SequenceState } from './sequence.ts';
import { letters, request } from './testing/tiny-engine.ts';

const SHAPE: PageShape = { pageSize: 8, numSinkTokens: 4, sealedUnits: 3, openUnits: 8, sinkUnits: 2 };
/** The batch only passes pages on. */
const CACHE = { shape: SHAPE, root: rootKey({}), pages: {} as StepPages } as KvCache;
const OTHER_CACHE: KvCache = { ...CACHE, pages: {} as StepPages };

interface Running {
  readonly pool?: PagePool;
  readonly cache?: KvCache;
}

function runningSequence(
  id: number,
  numTokens: number,
  numComputed: number,
  changes = {},
  { pool = new PagePool(100), cache = CACHE }: Running = {},
): SequenceState {
  const place = { cache, numPublicTokens: 0, maxTokens: 100 };
  const sequence = createSequence(id, request({ promptTokens: letters(numTokens, id), ...changes }), place);
  const pages = new SequencePages(pool, SHAPE);
  for (let left = numComputed; left > 0;) {
    const count = Math.min(left, pages.numTokensToFull);
    pages.reserve(count);
    pages.commit(count);
    left -= count;
  }
  sequence.kv = new KvSequence(cache, sequence.chain, pages);
  return sequence;
}

test('segments follow each other in the order of the plan, with the tokens and pages of their sequences', () => {
  const first = runningSequence(1, 20, 12);
  const second = runningSequence(2, 6, 5, {}, { cache: OTHER_CACHE });
  const plan = [
    { id: 2, numTokens: 1, numDraft: 0 },
    { id: 1, numTokens: 8, numDraft: 0 },
  ];
  const { step, entries } = createBatch(plan, [first, second]);
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
  assert.ok(step.segments[0].pages === OTHER_CACHE.pages && step.segments[1].pages === CACHE.pages);
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
    const { entries } = createBatch([{ id: 1, numTokens, numDraft: 0 }], [sequence]);
    return entries[0].outputs.map(({ position }) => position);
  };
  assert.deepEqual(outputsOf(7, {}), []);
  assert.deepEqual(outputsOf(12, {}), [11]);
  assert.deepEqual(outputsOf(12, { maxTokens: 0 }), []);
  assert.deepEqual(outputsOf(12, { logProbsAt: [0, 11] }), [0, 11]);
  assert.deepEqual(outputsOf(7, { logProbsAt: [0, 6, 7, 11] }), [0, 6]);
  assert.deepEqual(outputsOf(12, { logProbsAt: [3], maxTokens: 0 }), [3]);
});

test('a plan that names a sequence which does not run is an error', () => {
  assert.throws(() => createBatch([{ id: 9, numTokens: 1, numDraft: 0 }], []), /names sequence 9/);
});

test('places are noted down when all have their pages, since whoever gets pages may move those of others', () => {
  const pool = new PagePool(26);
  const hole = pool.allocate(4);
  const [first, second] = [1, 2].map((id) => runningSequence(id, 12, id === 1 ? 5 : 0, {}, { pool }));
  pool.release(hole);
  // Behind the first one's pages 12 units are free: its place must not be the one from before the second one's have come.
  const plan = [
    { id: 1, numTokens: 1, numDraft: 0 },
    { id: 2, numTokens: 11, numDraft: 0 },
  ];
  assert.equal(pagesOf(first).segment(1).openPage, 4);
  const { segments } = createBatch(plan, [first, second]).step;
  const places = segments.flatMap(({ openPage, sinkPage }) => [openPage, sinkPage as number]);
  assert.deepEqual(
    places,
    [first, second].flatMap((sequence) => {
      const { openPage, sinkPage } = pagesOf(sequence).segment(1);
      return [openPage, sinkPage];
    }),
  );
});

test('pages that there is no room for are told', () => {
  const sequence = runningSequence(1, 12, 0, {}, { pool: new PagePool(12) });
  assert.throws(() => createBatch([{ id: 1, numTokens: 12, numDraft: 0 }], [sequence]), { code: 'OUT_OF_MEMORY' });
});

test('drafts come after the pending token, and their logits are given', () => {
  const sequence = runningSequence(1, 6, 5);
  sequence.draft = [30, 31, 32];
  const { step, entries } = createBatch([{ id: 1, numTokens: 1, numDraft: 2 }], [sequence]);
  assert.deepEqual(step.tokenIds, [sequence.tokens[5], 30, 31]);
  assert.deepEqual(entries[0].draft, [30, 31]);
  assert.deepEqual(
    entries[0].outputs.map(({ position }) => position),
    [5, 6, 7],
  );
});
