import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PageIntegrityError, PagePool } from './page-pool.ts';

test('every page is handed out once, and a pool that is used up says how large it is', () => {
  const pool = new PagePool('sealed', 3);
  const pages = [pool.allocate(), pool.allocate(), pool.allocate()];
  assert.deepEqual([...pages].sort(), [0, 1, 2]);
  assert.equal(pool.numFree, 0);
  assert.throws(() => pool.allocate(), { code: 'OUT_OF_MEMORY', message: /^all 3 sealed pages are in use/ });
  pool.release(pages[1]);
  assert.equal(pool.allocate(), pages[1]);
});

test('a page is free when its last owner lets it go', () => {
  const pool = new PagePool('sealed', 1);
  const page = pool.allocate();
  pool.retain(page);
  pool.release(page);
  assert.equal(pool.numFree, 0);
  pool.check([page]);
  pool.release(page);
  assert.equal(pool.numFree, 1);
  pool.check([]);
});

test('releasing or retaining a page that nobody owns is an error', () => {
  const pool = new PagePool('open', 2);
  const page = pool.allocate();
  pool.release(page);
  assert.throws(
    () => pool.release(page),
    new PageIntegrityError(`open pages: release of page ${page}, which nobody owns`),
  );
  assert.throws(() => pool.retain(1), PageIntegrityError);
  assert.throws(() => pool.release(2), PageIntegrityError);
  assert.throws(() => pool.release(-1), PageIntegrityError);
});

test('the integrity check names the sum that fails', () => {
  const pool = new PagePool('sink', 4);
  const page = pool.allocate();
  pool.check([page]);
  assert.throws(() => pool.check([]), { message: 'sink pages: page 0 counts 1 owners, but 0 own it' });
  assert.throws(() => pool.check([page, page]), { message: 'sink pages: page 0 counts 1 owners, but 2 own it' });
  assert.throws(() => pool.check([page, 2]), { message: 'sink pages: page 2 counts 0 owners, but 1 own it' });
  assert.throws(() => pool.check([page, 4]), { message: 'sink pages: page 4 is owned, but there are only 4' });
});

test('a pool of no pages is possible, one of half a page is not', () => {
  assert.equal(new PagePool('sink', 0).numFree, 0);
  assert.throws(() => new PagePool('sink', 0.5), RangeError);
  assert.throws(() => new PagePool('sink', -1), RangeError);
});
