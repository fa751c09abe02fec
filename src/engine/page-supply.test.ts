import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import { MemoryPageStore } from '../cache/page-store.ts';
import { TokenChain } from '../cache/prefix-chain.ts';
import { rootKey } from '../cache/prefix-key.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { ConversationCache } from './conversation-cache.ts';
import { KvSequence } from './kv-sequence.ts';
import { PageSupply } from './page-supply.ts';
import { createHashEngine } from './testing/hash-engine.ts';
import { letters, openTinyModel } from './testing/tiny-engine.ts';

const tokenizer = new Tokenizer((await openTinyModel()).tokenizerMetadata);
const NUM_UNITS = 400;

class Fixture {
  readonly memory = createHashEngine({
    ...{ tokenizer, kvs: ['q4'], maxContext: 500, maxRows: 8, numUnits: NUM_UNITS, sharing: { maxSequences: 1 } },
  }).memory;
  readonly conversations = new ConversationCache();
  readonly supply = new PageSupply(this.memory, this.conversations);
  readonly shape = this.memory.defaultCache.shape;

  /** A sequence whose full pages are in the tree. */
  sequence(text: number, numTokens: number, tenant = 'a', numPublicTokens = 0): KvSequence {
    const { shape, memory } = this;
    const cache = memory.defaultCache;
    const chain = new TokenChain({ root: rootKey({}), shape, tenant, numPublicTokens }, letters(numTokens, text));
    const kv = new KvSequence(cache, chain, memory.createSequence());
    for (let left = numTokens; left > 0;) {
      const count = Math.min(left, kv.pages.numTokensToFull);
      kv.pages.reserve(count);
      kv.pages.commit(count);
      left -= count;
    }
    kv.publish(memory.tree);
    return kv;
  }

  keep(conversation: number, kv: KvSequence): void {
    this.conversations.keep(conversation, letters(kv.pages.numTokens), kv, this.memory.tree.tick());
  }
}

describe('room is made', () => {
  test('by what was not used for longest, a conversation or a page, and only as far as it must', () => {
    const fixture = new Fixture();
    const { memory, conversations, supply, shape } = fixture;
    fixture.sequence(1, 70).release(); // two pages in the tree
    fixture.keep(1, fixture.sequence(2, 10));
    fixture.sequence(3, 40).release();
    fixture.keep(2, fixture.sequence(4, 10));
    const free = (): number => memory.pool.numFreeUnits;
    const before = free();
    assert.ok(supply.makeRoom(before));
    assert.equal(free(), before);
    assert.ok(supply.makeRoom(before + 1));
    assert.equal(free(), before + shape.sealedUnits); // the second page of text 1
    assert.ok(supply.makeRoom(free() + 1));
    assert.equal(free(), before + 2 * shape.sealedUnits + shape.sinkUnits);
    assert.ok(supply.makeRoom(free() + 1));
    assert.deepEqual([conversations.get(1), memory.tree.numPages], [undefined, 1]);
    assert.ok(conversations.get(2));
    assert.ok(supply.makeRoom(free() + 1));
    assert.equal(memory.tree.numPages, 0);
    assert.ok(conversations.get(2));
    assert.ok(supply.makeRoom(NUM_UNITS));
    assert.deepEqual([conversations.get(2), memory.pool.numPages], [undefined, 0]);
    assert.equal(supply.makeRoom(NUM_UNITS + 1), false);
  });

  test('not by pages that somebody runs on, though all others are gone then', () => {
    const fixture = new Fixture();
    const { memory, supply } = fixture;
    const running = fixture.sequence(1, 70);
    fixture.sequence(2, 70).release();
    assert.equal(supply.makeRoom(NUM_UNITS), false);
    assert.equal(memory.pool.numFreeUnits, NUM_UNITS - supply.unitsOf(new Set(running.pages.ownedPages())));
    memory.check([running.pages]);
  });

  test('and pages that go are kept in the second tier, where there is one, each once', () => {
    const fixture = new Fixture();
    const { memory, supply } = fixture;
    memory.store = new MemoryPageStore(1e6);
    const kv = fixture.sequence(1, 70);
    const { sealedUnits, sinkUnits } = fixture.shape;
    // The keys of a format's own root say which format a page is of.
    const { chain } = kv;
    kv.release();
    assert.equal(chain.chain.root === memory.defaultCache.root, false);
    assert.ok(supply.makeRoom(NUM_UNITS));
    assert.equal(memory.store.numPages, 0, 'a page of no format that is known is not kept');
    const own = new TokenChain({ ...chain.chain, root: memory.defaultCache.root }, letters(70, 1));
    const again = new KvSequence(memory.defaultCache, own, memory.createSequence());
    for (const count of [36, 32, 2]) {
      again.pages.reserve(count);
      again.pages.commit(count);
    }
    again.publish(memory.tree);
    again.release();
    assert.ok(supply.makeRoom(NUM_UNITS));
    assert.deepEqual(
      [memory.store.numPages, memory.store.numBytes],
      [2, (2 * sealedUnits + sinkUnits) * PAGE_UNIT_BYTES],
    );
  });
});

describe('a tenant', () => {
  test('has the pages of its sequences, conversations and of the tree, each once, and no public ones', () => {
    const fixture = new Fixture();
    const { supply, shape } = fixture;
    const { sealedUnits, openUnits, sinkUnits } = shape;
    const running = fixture.sequence(1, 70);
    assert.equal(supply.unitsOfTenant('a', [running.pages]), 2 * sealedUnits + openUnits + sinkUnits);
    assert.equal(supply.unitsOfTenant('a', []), 2 * sealedUnits + sinkUnits);
    fixture.keep(1, fixture.sequence(1, 75)); // the same pages but for its open one
    assert.equal(supply.unitsOfTenant('a', [running.pages]), 2 * sealedUnits + 2 * openUnits + sinkUnits);
    assert.equal(supply.unitsOfTenant('b', []), 0);
    const partlyPublic = fixture.sequence(5, 70, 'b', 36);
    assert.equal(supply.unitsOfTenant('b', [partlyPublic.pages]), sealedUnits + openUnits);
  });

  test('is limited by its own pages only', () => {
    const fixture = new Fixture();
    const { supply, memory, conversations, shape } = fixture;
    fixture.keep(1, fixture.sequence(1, 70, 'b'));
    fixture.keep(2, fixture.sequence(2, 70, 'a'));
    fixture.sequence(3, 40, 'a').release();
    const running = fixture.sequence(4, 10, 'a');
    const unitsRunning = shape.openUnits + shape.sinkUnits;
    assert.ok(supply.limitTenant('a', unitsRunning + shape.sealedUnits + shape.sinkUnits, [running.pages]));
    assert.deepEqual([conversations.get(2), memory.tree.ownedPages('a').length], [undefined, 2]);
    assert.equal(supply.limitTenant('a', unitsRunning - 1, [running.pages]), false);
    assert.equal(memory.tree.unitsOfTenant('a'), 0);
    assert.ok(conversations.get(1) && memory.tree.unitsOfTenant('b') > 0);
    memory.check([running.pages, ...conversations.all().map(({ pages }) => pages)]);
  });
});
