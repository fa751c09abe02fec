import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import { MemoryPageStore, type StoredPage } from '../cache/page-store.ts';
import { TokenChain } from '../cache/prefix-chain.ts';
import { unitsOfSequence } from '../cache/sequence-pages.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import type { KvCache, KvMemory } from './kv-memory.ts';
import { createHashEngine } from './testing/hash-engine.ts';
import { letters, openTinyModel } from './testing/tiny-engine.ts';

const tokenizer = new Tokenizer((await openTinyModel()).tokenizerMetadata);

function createMemory(numUnits: number, kvs = ['q4']): KvMemory {
  const sharing = { maxSequences: 1 };
  return createHashEngine({ tokenizer, kvs, maxContext: 500, maxRows: 8, numUnits, sharing }).memory;
}

function chainOf({ root, shape }: KvCache, numTokens: number): TokenChain {
  return new TokenChain({ root, shape, tenant: 'a', numPublicTokens: 0 }, letters(numTokens));
}

/** A page's bytes as a file would have them. */
function storedPage({ shape }: KvCache, chain: TokenChain, index: number): StoredPage {
  const bytes = (numUnits: number): Uint8Array => new Uint8Array(numUnits * PAGE_UNIT_BYTES).fill(index + 1);
  const sink = index === 0 && shape.sinkUnits > 0 ? bytes(shape.sinkUnits) : undefined;
  return { ...chain.page(index), sealed: bytes(shape.sealedUnits), sink };
}

test('pages from elsewhere become pages of the tree, and are read as they were put in', () => {
  for (const kv of ['q4', 'f16']) {
    const memory = createMemory(200, [kv]);
    const cache = memory.defaultCache;
    const chain = chainOf(cache, 100);
    const pages = [0, 1].map((index) => storedPage(cache, chain, index));
    for (const page of pages) {
      const node = memory.insertPage(cache, page, () => true);
      assert.ok(node);
      assert.deepEqual(memory.readNode(cache, node), page);
      assert.equal(
        memory.insertPage(cache, page, () => assert.fail('it is there')),
        node,
      );
    }
    assert.deepEqual(
      [memory.match(chain, 99).numTokens, memory.match(chain, 50).nodes.length],
      [kv === 'q4' ? 68 : 96 - 32, 1],
    );
    memory.check([]);
  }
});

test('a page without its sink page, with one that it should not have, or of another size is refused', () => {
  const memory = createMemory(200);
  const cache = memory.defaultCache;
  const chain = chainOf(cache, 100);
  const [first, second] = [0, 1].map((index) => storedPage(cache, chain, index));
  const refused = { name: 'RangeError', message: /^a page of .* units, where the format has \d+ \+ \d+$/ };
  for (const page of [
    { ...first, sink: undefined },
    { ...second, sink: first.sink },
    { ...first, sealed: first.sealed.subarray(1) },
    { ...first, sink: first.sink?.subarray(64) },
  ]) {
    assert.throws(() => memory.insertPage(cache, page, () => true), refused);
  }
  assert.equal(memory.pool.numPages, 0);
});

test('a page for which there is no room, or whose parent is not there, is not taken', () => {
  const memory = createMemory(200);
  const cache = memory.defaultCache;
  const chain = chainOf(cache, 100);
  assert.equal(
    memory.insertPage(cache, storedPage(cache, chain, 1), () => true),
    undefined,
  );
  assert.equal(
    memory.insertPage(cache, storedPage(cache, chain, 0), () => false),
    undefined,
  );
  assert.equal(memory.pool.numPages, 0);
});

test('a sequence begins with pages of the tree, then with those of the store, until there is no room', () => {
  const memory = createMemory(200);
  const cache = memory.defaultCache;
  const chain = chainOf(cache, 140);
  memory.insertPage(cache, storedPage(cache, chain, 0), () => true);
  memory.store = new MemoryPageStore(1e6);
  for (const index of [0, 1, 3]) memory.store.put(storedPage(cache, chain, index));
  const match = memory.match(chain, 139);
  assert.deepEqual([match.nodes.length, match.stored.length, match.numTokens], [1, 1, 68]); // page 2 is nowhere
  memory.store.put(storedPage(cache, chain, 2));
  const whole = memory.match(chain, 139);
  assert.deepEqual([whole.stored.length, whole.numTokens], [3, 132]);
  let numRooms = 0;
  const sequence = memory.startSequence(cache, chain, whole, () => ++numRooms < 3);
  assert.equal(sequence.pages.numTokens, 100);
  memory.check([sequence.pages]);
  sequence.release();
  memory.check([]);
  memory.tree.clear();
  assert.equal(memory.pool.numPages, 0);
});

test('what the store has forgotten in the meantime is computed', () => {
  const memory = createMemory(200);
  const cache = memory.defaultCache;
  const chain = chainOf(cache, 140);
  memory.store = new MemoryPageStore(1e6);
  for (const index of [0, 1, 2]) memory.store.put(storedPage(cache, chain, index));
  const match = memory.match(chain, 139);
  const sequence = memory.startSequence(cache, chain, match, () => {
    if (memory.tree.numPages === 1) memory.store?.close();
    return true;
  });
  assert.equal(sequence.pages.numTokens, 68);
  memory.check([sequence.pages]);
});

test('the longest sequence fits the arena, or what it may have of it, and one token more does not', () => {
  for (const kv of ['q4', 'f16', 'q1']) {
    const memory = createMemory(200, [kv]);
    const cache = memory.defaultCache;
    for (const [most, numUnits] of [
      [undefined, 200],
      [150, 150],
      [201, 200],
      [Infinity, 200],
    ] as const) {
      const longest = memory.longestSequence(cache, most);
      const { shape } = cache;
      assert.ok(unitsOfSequence(shape, longest) <= numUnits && unitsOfSequence(shape, longest + 1) > numUnits);
    }
    assert.equal(memory.longestSequence(cache, cache.shape.openUnits - 1), 0);
  }
});

test('a format that was not added is an error of the caller, one that was is known', () => {
  const memory = createMemory(200, ['q4', 'q8']);
  const { format } = memory.defaultCache;
  assert.throws(() => memory.cacheOf({ ...format }), { name: 'RangeError', message: 'the format q4 was not added' });
  assert.equal(memory.addFormat(format, 'another root'), memory.defaultCache);
});
