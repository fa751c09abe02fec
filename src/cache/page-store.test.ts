import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryPageStore } from './page-store.ts';
import { MISSES, storedPage } from './testing/stored-page.ts';

test('a page comes back as it was, with its sink page', () => {
  const store = new MemoryPageStore(100);
  const [plain, withSink] = [storedPage(1), storedPage(2, 20, 5)];
  store.put(plain);
  store.put(withSink);
  assert.deepEqual([store.numPages, store.numBytes], [2, 35]);
  assert.deepEqual([store.get(plain), store.get(withSink)], [plain, withSink]);
  assert.ok(store.has(plain));
  store.put(storedPage(2, 20, 5));
  assert.deepEqual([store.numPages, store.numBytes], [2, 35]);
});

test('keys that collide only miss', () => {
  const store = new MemoryPageStore(100);
  const page = storedPage(1);
  store.put(page);
  for (const other of MISSES) assert.deepEqual([store.has(other(page)), store.get(other(page))], [false, undefined]);
  assert.ok(store.has(page));
});

test('the limit of bytes holds: the least recently used pages go, and one that is too large is not kept', () => {
  const store = new MemoryPageStore(30);
  const pages = [0, 1, 2, 3].map((number) => storedPage(number));
  for (const page of pages.slice(0, 3)) store.put(page);
  store.get(pages[0]);
  store.put(pages[3]);
  assert.deepEqual(
    pages.map((page) => store.has(page)),
    [true, false, true, true],
  );
  store.put(storedPage(4, 31));
  assert.deepEqual([store.numPages, store.numBytes], [3, 30]);
  store.put(storedPage(5, 20, 10));
  assert.deepEqual([store.numPages, store.numBytes], [1, 30]);
});

test('a store that was closed is empty', () => {
  const store = new MemoryPageStore(30);
  store.put(storedPage(1));
  store.close();
  assert.deepEqual([store.numPages, store.numBytes, store.has(storedPage(1))], [0, 0, false]);
});
