import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { PageIntegrityError, PagePool } from './page-pool.ts';

test('every page is handed out once, and a pool that is used up says what is free', () => {
  const pool = new PagePool(10);
  const pages = [pool.allocate(3), pool.allocate(3), pool.allocate(3)];
  assert.deepEqual(
    pages.map((page) => pool.unitOf(page)),
    [0, 3, 6],
  );
  assert.equal(new Set(pages).size, 3);
  assert.deepEqual([pool.numFreeUnits, pool.numPages], [1, 3]);
  assert.throws(() => pool.allocate(2), {
    code: 'OUT_OF_MEMORY',
    message:
      'the KV cache is full: a page of 2 units does not fit into the 1 of 10 that are free; end a sequence first',
  });
  pool.release(pages[1]);
  const again = pool.allocate(3);
  assert.ok(!pages.includes(again), 'ids are never given twice');
  assert.equal(pool.unitOf(again), 3);
  assert.deepEqual([pool.numUnitsOf(again), pool.numOwnersOf(again)], [3, 1]);
});

test('a page is free when its last owner lets it go', () => {
  const pool = new PagePool(4);
  const page = pool.allocate(4);
  pool.retain(page);
  assert.equal(pool.numOwnersOf(page), 2);
  pool.release(page);
  assert.equal(pool.numFreeUnits, 0);
  pool.check([page]);
  pool.release(page);
  assert.deepEqual([pool.numFreeUnits, pool.numPages], [4, 0]);
  pool.check([]);
});

test('what nobody owns can be neither released, retained nor asked for', () => {
  const pool = new PagePool(2);
  const page = pool.allocate(1);
  pool.release(page);
  assert.throws(() => pool.release(page), new PageIntegrityError(`pages: release of page ${page}, which nobody owns`));
  assert.throws(() => pool.retain(page), PageIntegrityError);
  assert.throws(() => pool.unitOf(page), PageIntegrityError);
  assert.throws(() => pool.numUnitsOf(7), PageIntegrityError);
  assert.throws(() => pool.numOwnersOf(-1), PageIntegrityError);
});

test('the integrity check names the sum that fails', () => {
  const pool = new PagePool(4);
  const page = pool.allocate(2);
  pool.check([page]);
  assert.throws(() => pool.check([]), { message: 'pages: page 0 counts 1 owners, but 0 own it' });
  assert.throws(() => pool.check([page, page]), { message: 'pages: page 0 counts 1 owners, but 2 own it' });
  assert.throws(() => pool.check([page, 2]), { message: 'pages: page 2 counts 0 owners, but 1 own it' });
});

test('a pool of no units is possible, one of half a unit is not, and no page is empty', () => {
  assert.equal(new PagePool(0).numFreeUnits, 0);
  assert.throws(() => new PagePool(0.5), RangeError);
  assert.throws(() => new PagePool(-1), RangeError);
  for (const numUnits of [0, -1, 1.5]) assert.throws(() => new PagePool(4).allocate(numUnits), RangeError);
  assert.throws(() => new PagePool(0).allocate(1), { code: 'OUT_OF_MEMORY' });
});

/** A pool whose pages lie at `units`, each with its size; what is between them is free. */
function poolWith(numUnits: number, pages: readonly (readonly [unit: number, numUnits: number])[]) {
  const moves: [from: number, to: number, numUnits: number][] = [];
  const pool = new PagePool(numUnits, (...move) => void moves.push(move));
  const fillers: number[] = [];
  let end = 0;
  const ids = pages.map(([unit, size]) => {
    if (unit > end) fillers.push(pool.allocate(unit - end));
    end = unit + size;
    return pool.allocate(size);
  });
  for (const filler of fillers) pool.release(filler);
  const places = (): number[] => ids.map((id) => pool.unitOf(id));
  assert.deepEqual(
    places(),
    pages.map(([unit]) => unit),
  );
  return { pool, moves, places };
}

describe('where a page goes', () => {
  test('into the smallest gap that it fits into, the first of equals', () => {
    const { pool, moves } = poolWith(30, [
      [5, 1], // gap of 5 before it
      [9, 1], // 3
      [13, 1], // 3
      [16, 1], // 2, and 13 behind it
    ]);
    const unitOf = (numUnits: number): number => pool.unitOf(pool.allocate(numUnits));
    assert.deepEqual([unitOf(3), unitOf(3), unitOf(4), unitOf(1), unitOf(2)], [6, 10, 0, 4, 14]);
    assert.deepEqual(moves, []);
  });

  test('where none is large enough, the pages that cost fewest units move into gaps elsewhere', () => {
    // Gaps of 2, 2, 2 and 2: a window of 4 needs 8 units out of the way, 1, or 5.
    const { pool, moves, places } = poolWith(22, [
      [2, 8],
      [12, 1],
      [15, 5],
    ]);
    assert.equal(pool.unitsToMove(4), 1);
    assert.equal(pool.unitOf(pool.allocate(4)), 10);
    assert.deepEqual(moves, [[12, 0, 1]]);
    assert.deepEqual(places(), [2, 0, 15]);
    pool.check([0, 1, 2, 3, 4, 5, 6].filter((id) => isOwned(pool, id)));
  });

  test('where they fit nowhere else, they are pushed together towards the start, in order, even onto themselves', () => {
    const { pool, moves, places } = poolWith(13, [
      [1, 3],
      [5, 3],
      [9, 3],
    ]);
    assert.equal(pool.unitOf(pool.allocate(4)), 9);
    assert.deepEqual(moves, [
      [1, 0, 3],
      [5, 3, 3],
      [9, 6, 3],
    ]);
    assert.deepEqual(places(), [0, 3, 6]);
  });

  test('pages that have no gap before them stay', () => {
    const { pool, moves } = poolWith(12, [
      [0, 4],
      [6, 1],
      [7, 3],
    ]);
    assert.equal(pool.unitOf(pool.allocate(4)), 8);
    assert.deepEqual(moves, [
      [6, 4, 1],
      [7, 5, 3],
    ]);
  });
});

function isOwned(pool: PagePool, page: number): boolean {
  try {
    return pool.numOwnersOf(page) > 0;
  } catch {
    return false;
  }
}

for (const [seed, sizes] of [
  [1, [1, 2, 3, 5, 8]],
  [2, [10, 17, 32, 4]],
  [3, [7]],
] as const) {
  test(`10,000 random operations on pages of ${sizes.join(', ')} units keep every byte of every page`, () => {
    const rng = xoroshiro128plus(seed);
    const int = (from: number, to: number): number => uniformInt(rng, from, to);
    const arena = new Uint8Array(200);
    let numMoves = 0;
    const pool = new PagePool(arena.length, (from, to, numUnits) => {
      arena.copyWithin(to, from, from + numUnits);
      numMoves++;
    });
    /** What each page holds, and how many own it. */
    const model = new Map<number, { bytes: number[]; numOwners: number }>();
    const anyPage = (): number | undefined => [...model.keys()][int(0, Math.max(0, model.size - 1))];
    let numRefused = 0;
    for (let i = 0; i < 10_000; i++) {
      const page = anyPage();
      const owned = page === undefined ? undefined : model.get(page);
      const kind = int(0, 9);
      if (kind < 5 || page === undefined || !owned) {
        const size = sizes[int(0, sizes.length - 1)];
        if (size > pool.numFreeUnits) {
          assert.throws(() => pool.allocate(size), { code: 'OUT_OF_MEMORY' });
          numRefused++;
          continue;
        }
        const bytes = Array.from({ length: size }, () => int(0, 255));
        const added = pool.allocate(size);
        assert.ok(!model.has(added));
        arena.set(bytes, pool.unitOf(added));
        model.set(added, { bytes, numOwners: 1 });
      } else if (kind === 5) {
        pool.retain(page);
        owned.numOwners++;
      } else {
        pool.release(page);
        if (--owned.numOwners === 0) model.delete(page);
      }
      for (const [id, { bytes }] of model) {
        const unit = pool.unitOf(id);
        assert.ok(
          bytes.every((byte, index) => arena[unit + index] === byte),
          `page ${id}`,
        );
      }
      pool.check([...model].flatMap(([id, { numOwners }]) => Array<number>(numOwners).fill(id)));
    }
    assert.ok(numRefused > 100);
    assert.ok(sizes.length === 1 ? numMoves === 0 : numMoves > 100, `${numMoves} moves`);
    for (const [id, { numOwners }] of model) for (let i = 0; i < numOwners; i++) pool.release(id);
    assert.equal(pool.numFreeUnits, arena.length);
  });
}
