import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MISSES, storedPage } from '../cache/testing/stored-page.ts';
import { DiskPageStore } from './disk-page-store-node.ts';

let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvant-test-'));
});
after(() => rmSync(folder, { recursive: true }));

/** A store in a folder of the test, and the files in it. */
function storeOf(maxBytes: number) {
  const parent = mkdtempSync(join(folder, 'store-'));
  const store = new DiskPageStore(maxBytes, parent);
  const [own] = readdirSync(parent);
  const files = (): string[] => readdirSync(join(parent, own)).map((name) => join(parent, own, name));
  return { store, parent, files };
}

test('a page comes back as it was, with its sink page, by way of a file', () => {
  const { store, files } = storeOf(100);
  const [plain, withSink] = [storedPage(1), storedPage(2, 20, 5)];
  store.put(plain);
  store.put(withSink);
  assert.deepEqual([store.numPages, store.numBytes, files().length], [2, 35, 2]);
  for (const page of [plain, withSink]) {
    const { sealed, sink, ...rest } = store.get(page)!;
    assert.deepEqual({ ...rest, sealed: Uint8Array.from(sealed), sink: sink && Uint8Array.from(sink) }, { ...page });
  }
  store.close();
});

test('keys that collide only miss', () => {
  const { store } = storeOf(100);
  const page = storedPage(1);
  store.put(page);
  for (const other of MISSES) assert.deepEqual([store.has(other(page)), store.get(other(page))], [false, undefined]);
  assert.ok(store.get(page));
  store.close();
});

test('the limit of bytes holds: files of the least recently used pages go, and one that is too large is not kept', () => {
  const { store, files } = storeOf(30);
  const pages = [0, 1, 2, 3].map((number) => storedPage(number));
  for (const page of pages.slice(0, 3)) store.put(page);
  store.get(pages[0]);
  store.put(pages[3]);
  assert.deepEqual(
    pages.map((page) => store.has(page)),
    [true, false, true, true],
  );
  store.put(storedPage(4, 31));
  assert.deepEqual([store.numPages, store.numBytes, files().length], [3, 30, 3]);
  store.close();
});

test('a file that is damaged, cut short, longer or gone is a miss, and is forgotten', () => {
  const damages: ((path: string) => void)[] = [
    (path) => {
      const bytes = readFileSync(path);
      bytes[3] ^= 1;
      writeFileSync(path, bytes);
    },
    (path) => writeFileSync(path, readFileSync(path).subarray(0, 9)),
    (path) => writeFileSync(path, ''),
    (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.of(0)])),
    (path) => rmSync(path),
  ];
  for (const damage of damages) {
    const { store, files } = storeOf(100);
    const page = storedPage(1);
    store.put(page);
    damage(files()[0]);
    assert.ok(store.has(page)); // nobody has looked yet
    assert.equal(store.get(page), undefined);
    assert.deepEqual([store.has(page), store.numPages, store.numBytes, files().length], [false, 0, 0, 0]);
    store.put(page);
    assert.ok(store.get(page));
    store.close();
  }
});

test('a page that cannot be written is not kept, and harms nothing', () => {
  const { store, parent } = storeOf(100);
  store.put(storedPage(1));
  rmSync(join(parent, readdirSync(parent)[0]), { recursive: true });
  store.put(storedPage(2));
  assert.equal(store.has(storedPage(2)), false);
  assert.equal(store.get(storedPage(1)), undefined);
  assert.equal(store.numBytes, 0);
  store.close();
});

test('a folder that cannot be made is told by name', () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  assert.throws(() => new DiskPageStore(100, join(file, 'below')), {
    code: 'FILE_ERROR',
    message: new RegExp(`^cannot make a folder for swapped pages in ".*below": `),
  });
});

test('a store has a folder of its own, which goes with it; the one around it stays', () => {
  const { store, parent } = storeOf(100);
  const other = new DiskPageStore(100, parent);
  store.put(storedPage(1));
  other.put(storedPage(1));
  assert.equal(readdirSync(parent).length, 2);
  store.close();
  assert.equal(readdirSync(parent).length, 1);
  assert.deepEqual([store.numPages, store.numBytes], [0, 0]);
  assert.ok(other.get(storedPage(1)));
  other.close();
  assert.deepEqual(readdirSync(parent), []);
});
