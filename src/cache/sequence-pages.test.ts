import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { PageIntegrityError, PagePool } from './page-pool.ts';
import {
  numSealedPages,
  numTokensIn,
  SequencePages,
  unitsOfSequence,
  type PageShape,
  type SegmentPages,
} from './sequence-pages.ts';

const WITH_SINKS: PageShape = { pageSize: 8, numSinkTokens: 4, sealedUnits: 3, openUnits: 8, sinkUnits: 2 };
const WITHOUT_SINKS: PageShape = { pageSize: 8, numSinkTokens: 0, sealedUnits: 8, openUnits: 8, sinkUnits: 0 };

/** Adds tokens one segment after the other, as a prefill does. */
function append(pages: SequencePages, numTokens: number): void {
  for (let left = numTokens; left > 0;) {
    const count = Math.min(left, pages.numTokensToFull);
    pages.reserve(count);
    pages.commit(count);
    left -= count;
  }
}

function sequenceOf(pool: PagePool, shape: PageShape, numTokens: number): SequencePages {
  const pages = new SequencePages(pool, shape);
  append(pages, numTokens);
  return pages;
}

function checkPool(pool: PagePool, sequences: readonly SequencePages[]): void {
  pool.check(sequences.flatMap((pages) => pages.ownedPages()));
}

function nextSegment(pages: SequencePages): SegmentPages {
  pages.reserve(1);
  return pages.segment(1);
}

const noCopy = (): void => assert.fail('nothing is to be copied');

test('tokens fill pages after the sink tokens, and units add up to those pages, an open one and the sink', () => {
  assert.deepEqual(
    [0, 3, 4, 11, 12, 19, 20].map((numTokens) => numSealedPages(WITH_SINKS, numTokens)),
    [0, 0, 0, 0, 1, 1, 2],
  );
  assert.deepEqual(
    [0, 1, 2].map((numPages) => numTokensIn(WITH_SINKS, numPages)),
    [0, 12, 20],
  );
  assert.equal(unitsOfSequence(WITH_SINKS, 20), 2 * 3 + 8 + 2);
  for (let numTokens = 1; numTokens < 50; numTokens++) {
    const pool = new PagePool(unitsOfSequence(WITH_SINKS, numTokens));
    assert.equal(sequenceOf(pool, WITH_SINKS, numTokens).numTokens, numTokens);
    assert.equal(pool.numFreeUnits, 0);
  }
});

test('the first segment holds the sink tokens and page 0, the next ones a page each', () => {
  const pool = new PagePool(30);
  const pages = new SequencePages(pool, WITH_SINKS);
  assert.equal(pages.numTokensToFull, 12);
  assert.deepEqual([pages.unitsToReserve(11), pages.unitsToReserve(12)], [10, 13]);
  pages.reserve(12);
  assert.deepEqual([pages.unitsToReserve(12), pool.numFreeUnits], [0, 17]);
  const first = pages.segment(12);
  assert.deepEqual(first, { firstPosition: 0, sealedPages: [], openPage: 0, sinkPage: 8, sealInto: 10 });
  pages.commit(12);
  assert.deepEqual(
    pages.sealedPages.map((page) => pool.unitOf(page)),
    [10],
  );
  assert.equal(pages.numTokensToFull, 8);
  pages.reserve(3);
  const second = pages.segment(3);
  assert.deepEqual(second, { firstPosition: 12, sealedPages: [10], openPage: 0, sinkPage: 8, sealInto: undefined });
  pages.commit(3);
  assert.equal(pages.numTokensToFull, 5);
  checkPool(pool, [pages]);
});

test('a segment names places: those after other pages have moved', () => {
  const pool = new PagePool(21);
  const other = pool.allocate(4);
  const pages = sequenceOf(pool, WITH_SINKS, 12);
  assert.deepEqual(nextSegment(pages).sealedPages, [14]);
  pool.release(other);
  pool.allocate(6);
  // The sealed page went into the gap that the other page had left.
  assert.deepEqual(pages.segment(1).sealedPages, [0]);
});

test('without sink tokens every page starts at a multiple of its size', () => {
  const pages = new SequencePages(new PagePool(32), WITHOUT_SINKS);
  assert.equal(pages.numTokensToFull, 8);
  append(pages, 17);
  assert.equal(pages.sealedPages.length, 2);
  assert.equal(pages.numTokensToFull, 7);
  pages.reserve(1);
  assert.equal(pages.segment(1).sinkPage, undefined);
});

test('a segment that does not fit, or whose pages were not reserved, is refused', () => {
  const pages = new SequencePages(new PagePool(20), WITH_SINKS);
  assert.throws(() => pages.reserve(13), { name: 'RangeError', message: /^13 tokens do not fit.*from 1 to 12$/ });
  assert.throws(() => pages.reserve(0), RangeError);
  assert.throws(() => pages.segment(1), PageIntegrityError);
  pages.reserve(11);
  assert.throws(() => pages.commit(12), PageIntegrityError);
  pages.commit(11);
  const odd = { ...WITH_SINKS, sinkUnits: 0 };
  assert.throws(() => new SequencePages(new PagePool(1), odd), {
    name: 'RangeError',
    message: 'sink pages of 0 units and 4 tokens do not go together',
  });
});

test('a reservation that fails leaves the sequence as it was, with nothing lost', () => {
  const pool = new PagePool(11);
  const pages = new SequencePages(pool, WITH_SINKS);
  assert.throws(() => pages.reserve(12), { code: 'OUT_OF_MEMORY' });
  assert.equal(pages.numTokens, 0);
  checkPool(pool, [pages]);
  pages.release();
  checkPool(pool, []);
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
    const pool = new PagePool(30);
    const pages = sequenceOf(pool, WITH_SINKS, numTokens);
    assert.equal(pages.lengthAfterTruncate(to), expected);
    assert.equal(pages.truncate(to), expected, `${numTokens} tokens truncated to ${to}`);
    assert.equal(pages.numTokens, expected);
    checkPool(pool, [pages]);
    append(pages, 34 - expected);
    assert.equal(pages.sealedPages.length, 3);
    checkPool(pool, [pages]);
  }
  assert.throws(() => new SequencePages(new PagePool(1), WITH_SINKS).truncate(-1), RangeError);
});

describe('a prefix that others have filled', () => {
  test('is owned by both, and the sequence goes on after it with an open page of its own', () => {
    const pool = new PagePool(60);
    const first = sequenceOf(pool, WITH_SINKS, 25);
    const prefix = { sealedPages: first.sealedPages.slice(0, 2), sinkPage: first.sinkPage };
    const second = new SequencePages(pool, WITH_SINKS, prefix);
    assert.deepEqual([second.numTokens, second.numTokensToFull], [20, 8]);
    assert.deepEqual([second.sealedPages, second.sinkPage], [first.sealedPages, first.sinkPage]);
    assert.equal(second.unitsToReserve(1), WITH_SINKS.openUnits);
    append(second, 10);
    assert.notEqual(nextSegment(second).openPage, nextSegment(first).openPage);
    assert.equal(second.sealedPages.length, 3);
    checkPool(pool, [first, second]);
    first.release();
    checkPool(pool, [second]);
    assert.equal(second.segment(1).sealedPages.length, 3);
    second.release();
    assert.equal(pool.numFreeUnits, 60);
  });

  test('without pages it is none; it comes with its sink page where the format has one, and only there', () => {
    const pool = new PagePool(60);
    const empty = new SequencePages(pool, WITH_SINKS, { sealedPages: [], sinkPage: undefined });
    assert.deepEqual([empty.numTokens, empty.sinkPage], [0, undefined]);
    const { sealedPages, sinkPage } = sequenceOf(pool, WITH_SINKS, 12);
    assert.throws(() => new SequencePages(pool, WITH_SINKS, { sealedPages, sinkPage: undefined }), PageIntegrityError);
    const plain = sequenceOf(pool, WITHOUT_SINKS, 8).sealedPages;
    assert.throws(() => new SequencePages(pool, WITHOUT_SINKS, { sealedPages: plain, sinkPage }), PageIntegrityError);
    assert.equal(new SequencePages(pool, WITHOUT_SINKS, { sealedPages: plain, sinkPage: undefined }).numTokens, 8);
  });

  test('own pages are given up for those of the same content', () => {
    const pool = new PagePool(60);
    const [first, second] = [12, 25].map((numTokens) => sequenceOf(pool, WITH_SINKS, numTokens));
    const freeBefore = pool.numFreeUnits;
    second.share(0, first.sealedPages[0], first.sinkPage);
    assert.equal(pool.numFreeUnits, freeBefore + WITH_SINKS.sealedUnits + WITH_SINKS.sinkUnits);
    assert.deepEqual([second.sealedPages[0], second.sinkPage], [first.sealedPages[0], first.sinkPage]);
    second.share(0, first.sealedPages[0], first.sinkPage); // nothing changes
    second.share(1, second.sealedPages[1], undefined);
    checkPool(pool, [first, second]);
  });

  test('truncation to a position of a shared sink page goes back to nothing, to an own one it does not', () => {
    const pool = new PagePool(60);
    const first = sequenceOf(pool, WITH_SINKS, 15);
    const second = new SequencePages(pool, WITH_SINKS, first);
    assert.deepEqual(
      [2, 4, 5].map((to) => second.lengthAfterTruncate(to)),
      [0, 4, 4],
    );
    assert.equal(second.truncate(5), 4);
    assert.equal(second.sinkPage, first.sinkPage);
    assert.equal(second.truncate(3), 0);
    assert.equal(second.sinkPage, undefined);
    append(second, 6);
    assert.notEqual(second.sinkPage, first.sinkPage);
    assert.equal(second.truncate(3), 3);
    assert.equal(first.truncate(1), 1);
    checkPool(pool, [first, second]);
  });
});

describe('a fork', () => {
  test('shares full pages and copies the open one', () => {
    const pool = new PagePool(60);
    const pages = sequenceOf(pool, WITH_SINKS, 25);
    pages.reserve(3); // has a page to seal into, which is not the fork's
    const copies: number[][] = [];
    const fork = pages.fork((from, to) => void copies.push([pool.unitOf(from), pool.unitOf(to)]));
    assert.deepEqual([fork.numTokens, fork.sealedPages, fork.sinkPage], [25, pages.sealedPages, pages.sinkPage]);
    assert.deepEqual(copies, [[pages.segment(1).openPage, fork.segment(1).openPage]]);
    assert.equal(fork.unitsToReserve(3), WITH_SINKS.sealedUnits);
    append(fork, 10);
    append(pages, 3);
    checkPool(pool, [pages, fork]);
  });

  test('of a sequence that ends with a full page copies nothing', () => {
    const pool = new PagePool(60);
    const pages = sequenceOf(pool, WITH_SINKS, 20);
    const fork = pages.fork(noCopy);
    assert.equal(fork.unitsToReserve(1), WITH_SINKS.openUnits);
    checkPool(pool, [pages, fork]);
    assert.equal(new SequencePages(pool, WITH_SINKS).fork(noCopy).numTokens, 0);
  });

  test('copies a sink page that is not full, which both go on to fill', () => {
    const pool = new PagePool(60);
    const pages = sequenceOf(pool, WITH_SINKS, 2);
    let numCopies = 0;
    const fork = pages.fork(() => void numCopies++);
    assert.equal(numCopies, 1);
    assert.notEqual(fork.sinkPage, pages.sinkPage);
    checkPool(pool, [pages, fork]);
  });

  test('for which there is no room changes nothing', () => {
    const pool = new PagePool(unitsOfSequence(WITH_SINKS, 15) + 7);
    const pages = sequenceOf(pool, WITH_SINKS, 15);
    assert.throws(() => pages.fork(noCopy), { code: 'OUT_OF_MEMORY' });
    checkPool(pool, [pages]);
    const small = new PagePool(WITH_SINKS.openUnits + WITH_SINKS.sinkUnits + 1);
    const open = sequenceOf(small, { ...WITH_SINKS, numSinkTokens: 20 }, 10);
    assert.throws(() => open.fork(() => undefined), { code: 'OUT_OF_MEMORY' });
    checkPool(small, [open]);
  });
});

test('10,000 random operations on sequences that share pages leak none and own none twice', () => {
  for (const [seed, shapes] of [
    [0, [WITH_SINKS]],
    [1, [WITHOUT_SINKS]],
    [2, [WITH_SINKS, WITHOUT_SINKS]],
  ] as const) {
    const rng = xoroshiro128plus(seed);
    const int = (from: number, to: number): number => uniformInt(rng, from, to);
    const pool = new PagePool(90);
    const sequences = [0, 1, 2, 3].map((i) => new SequencePages(pool, shapes[i % shapes.length]));
    for (let i = 0; i < 10_000; i++) {
      const [index, from] = [int(0, 3), int(0, 3)];
      const fork = int(0, 9) === 0 && index !== from ? forkOrShare(pool, sequences[from], int(0, 3)) : undefined;
      if (fork) {
        sequences[index].release();
        sequences[index] = fork;
      } else {
        randomOperation(sequences[index], int(0, 9), int(0, 40));
      }
      for (const { shape, sealedPages, numTokens } of sequences) {
        assert.equal(sealedPages.length, numSealedPages(shape, numTokens));
      }
      checkPool(pool, sequences);
    }
    for (const pages of sequences) pages.release();
    checkPool(pool, []);
    assert.equal(pool.numFreeUnits, 90);
  }
});

/** A sequence that shares pages with another one; undefined if there is no room. */
function forkOrShare(pool: PagePool, pages: SequencePages, numPages: number): SequencePages | undefined {
  try {
    if (numPages === 0) return pages.fork(() => undefined);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'OUT_OF_MEMORY');
    return undefined;
  }
  const sealedPages = pages.sealedPages.slice(0, numPages);
  return new SequencePages(pool, pages.shape, { sealedPages, sinkPage: pages.sinkPage });
}

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
