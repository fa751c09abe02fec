import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { PageIntegrityError, PagePool } from './page-pool.ts';
import { numSealedPages, SequencePages, type PageGeometry, type PagePools } from './sequence-pages.ts';

const WITH_SINKS: PageGeometry = { pageSize: 8, numSinkTokens: 4 };
const WITHOUT_SINKS: PageGeometry = { pageSize: 8, numSinkTokens: 0 };

function makePools(geometry: PageGeometry, numSealed: number, numSequences = 1): PagePools {
  return {
    sealed: new PagePool('sealed', numSealed),
    open: new PagePool('open', numSequences),
    sink: geometry.numSinkTokens > 0 ? new PagePool('sink', numSequences) : undefined,
  };
}

/** Adds tokens one segment after the other, as a prefill does. */
function append(pages: SequencePages, numTokens: number): void {
  for (let left = numTokens; left > 0;) {
    const count = Math.min(left, pages.numTokensToFull);
    pages.reserve(count);
    pages.commit(count);
    left -= count;
  }
}

function checkPools(pools: PagePools, sequences: readonly SequencePages[]): void {
  const owned = sequences.map((pages) => pages.ownedPages());
  pools.sealed.check(owned.flatMap(({ sealed }) => sealed));
  pools.open.check(owned.flatMap(({ open }) => open));
  pools.sink?.check(owned.flatMap(({ sink }) => sink));
}

test('the first segment holds the sink tokens and page 0, the next ones a page each', () => {
  const pools = makePools(WITH_SINKS, 3);
  const pages = new SequencePages(pools, WITH_SINKS);
  assert.equal(pages.numTokensToFull, 12);
  pages.reserve(12);
  const first = pages.segment(12);
  assert.deepEqual(first, { firstPosition: 0, sealedPages: [], openPage: 0, sinkPage: 0, sealInto: 0 });
  pages.commit(12);
  assert.deepEqual(pages.sealedPages, [0]);
  assert.equal(pages.numTokensToFull, 8);
  pages.reserve(3);
  const second = pages.segment(3);
  assert.deepEqual(second, { firstPosition: 12, sealedPages: [0], openPage: 0, sinkPage: 0, sealInto: undefined });
  pages.commit(3);
  assert.equal(pages.numTokensToFull, 5);
  checkPools(pools, [pages]);
});

test('without sink tokens every page starts at a multiple of its size', () => {
  const pages = new SequencePages(makePools(WITHOUT_SINKS, 3), WITHOUT_SINKS);
  assert.equal(pages.numTokensToFull, 8);
  append(pages, 17);
  assert.equal(pages.sealedPages.length, 2);
  assert.equal(pages.numTokensToFull, 7);
  pages.reserve(1);
  assert.equal(pages.segment(1).sinkPage, undefined);
});

test('a segment that does not fit, or whose pages were not reserved, is refused', () => {
  const pages = new SequencePages(makePools(WITH_SINKS, 1), WITH_SINKS);
  assert.throws(() => pages.reserve(13), { name: 'RangeError', message: /^13 tokens do not fit.*from 1 to 12$/ });
  assert.throws(() => pages.reserve(0), RangeError);
  assert.throws(() => pages.segment(1), PageIntegrityError);
  pages.reserve(11);
  assert.throws(() => pages.commit(12), PageIntegrityError);
  pages.commit(11);
  assert.throws(() => new SequencePages(makePools(WITHOUT_SINKS, 1), WITH_SINKS), RangeError);
});

test('a reservation that fails leaves the sequence as it was, with nothing lost', () => {
  const pools = makePools(WITH_SINKS, 0);
  const pages = new SequencePages(pools, WITH_SINKS);
  assert.throws(() => pages.reserve(12), { code: 'OUT_OF_MEMORY' });
  assert.equal(pages.numTokens, 0);
  checkPools(pools, [pages]);
  pages.release();
  checkPools(pools, []);
});

test('truncation keeps positions of the open page and of the sink exactly, and goes to the start of a sealed page', () => {
  const cases: [numTokens: number, to: number, expected: number][] = [
    [10, 7, 7], // page 0 is still open
    [10, 2, 2], // inside the sink
    [12, 11, 4], // page 0 is sealed
    [12, 12, 12],
    [12, 4, 4],
    [12, 3, 3],
    [31, 30, 30], // open page from 28 on
    [31, 28, 28],
    [31, 27, 20],
    [31, 20, 20],
    [31, 19, 12],
    [31, 0, 0],
    [31, 99, 31],
  ];
  for (const [numTokens, to, expected] of cases) {
    const pools = makePools(WITH_SINKS, 4);
    const pages = new SequencePages(pools, WITH_SINKS);
    append(pages, numTokens);
    assert.equal(pages.lengthAfterTruncate(to), expected);
    assert.equal(pages.truncate(to), expected, `${numTokens} tokens truncated to ${to}`);
    assert.equal(pages.numTokens, expected);
    checkPools(pools, [pages]);
    append(pages, 34 - expected);
    assert.equal(pages.sealedPages.length, 3);
    checkPools(pools, [pages]);
  }
  assert.throws(() => new SequencePages(makePools(WITH_SINKS, 1), WITH_SINKS).truncate(-1), RangeError);
});

test('1,000 random operations on three sequences leak no page and own none twice', () => {
  for (const [geometry, seed] of [WITH_SINKS, WITHOUT_SINKS, WITH_SINKS].map((g, i) => [g, i] as const)) {
    const rng = xoroshiro128plus(seed);
    const pools = makePools(geometry, 12, 3);
    const sequences = [0, 1, 2].map(() => new SequencePages(pools, geometry));
    for (let i = 0; i < 1000; i++) {
      const pages = sequences[uniformInt(rng, 0, 2)];
      randomOperation(pages, uniformInt(rng, 0, 9), uniformInt(rng, 0, 40));
      assert.equal(pages.sealedPages.length, numSealedPages(geometry, pages.numTokens));
      checkPools(pools, sequences);
    }
    for (const pages of sequences) pages.release();
    checkPools(pools, []);
    assert.equal(pools.sealed.numFree, 12);
  }
});

function randomOperation(pages: SequencePages, kind: number, size: number): void {
  if (kind === 0) return pages.release();
  if (kind < 3) return void pages.truncate(Math.min(size, pages.numTokens));
  const count = Math.min(1 + (size % 12), pages.numTokensToFull);
  try {
    pages.reserve(count);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'OUT_OF_MEMORY');
    return;
  }
  if (kind > 3) pages.commit(count); // otherwise the step failed, and the reservation stays
}
