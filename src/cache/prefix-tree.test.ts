import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PagePool } from './page-pool.ts';
import { TokenChain, type ChainPage } from './prefix-chain.ts';
import { rootKey } from './prefix-key.ts';
import { PrefixTree, type PrefixNode } from './prefix-tree.ts';
import type { PageShape } from './sequence-pages.ts';

const SHAPE: PageShape = { pageSize: 2, numSinkTokens: 1, sealedUnits: 3, openUnits: 4, sinkUnits: 1 };
const ROOT = rootKey({ format: 'q4' });

interface Chaining {
  readonly tenant?: string;
  readonly numPublicTokens?: number;
  readonly root?: string;
}

function chainOf(
  tokens: readonly number[],
  { tenant = 'a', numPublicTokens = 0, root = ROOT }: Chaining = {},
): TokenChain {
  return new TokenChain({ root, shape: SHAPE, tenant, numPublicTokens }, tokens);
}

/** All full pages of some tokens. */
function pagesOf(tokens: readonly number[], chaining?: Chaining): ChainPage[] {
  const chain = chainOf(tokens, chaining);
  return Array.from({ length: Math.floor((tokens.length - 1) / 2) }, (_, index) => chain.page(index));
}

class Fixture {
  readonly pool = new PagePool(60);
  readonly tree = new PrefixTree(this.pool);

  /** Puts pages in as a sequence does that has ended since. */
  add(tokens: readonly number[], chaining?: Chaining): (PrefixNode | undefined)[] {
    return pagesOf(tokens, chaining).map((page, index) => {
      const own = this.pool.allocate(SHAPE.sealedUnits);
      const sinkPage = index === 0 ? this.pool.allocate(SHAPE.sinkUnits) : undefined;
      const node = this.tree.insert(page, { page: own, sinkPage });
      this.pool.release(own);
      if (sinkPage !== undefined) this.pool.release(sinkPage);
      return node;
    });
  }

  numFound(tokens: readonly number[], chaining?: Chaining): number {
    return pagesOf(tokens, chaining).filter((page) => this.tree.find(page)).length;
  }

  /** Evicts one page. @returns its tokens */
  evict(tenant?: string): string | undefined {
    let tokens: string | undefined;
    const isEvicted = this.tree.evictOne((node) => (tokens = node.tokens.join('')), tenant);
    assert.equal(isEvicted, tokens !== undefined);
    this.pool.check(this.tree.ownedPages());
    return tokens;
  }
}

test('a chain cuts tokens into pages whose keys follow from each other; the first one holds the sink tokens', () => {
  const [first, second] = pagesOf([1, 2, 3, 4, 5, 6]);
  assert.deepEqual(
    [first.tokens, second.tokens],
    [
      [1, 2, 3],
      [4, 5],
    ],
  );
  assert.deepEqual([first.parent, second.parent, second.root], [ROOT, first.key, ROOT]);
  assert.deepEqual([first.tenant, second.tenant], ['a', 'a']);
  const tokens = [1, 2];
  const chain = chainOf(tokens);
  assert.throws(() => chain.page(0), { name: 'RangeError', message: 'page 0 ends at token 3 of 2' });
  tokens.push(3);
  assert.deepEqual(chain.page(0), first);
});

test('what was put in is found, by whoever has the same tokens from the first one on', () => {
  const fixture = new Fixture();
  fixture.add([1, 2, 3, 4, 5, 6, 7]);
  assert.equal(fixture.tree.numPages, 3);
  assert.equal(fixture.numFound([1, 2, 3, 4, 5, 6, 7]), 3);
  assert.equal(fixture.numFound([1, 2, 3, 4, 5, 9, 7]), 2);
  assert.equal(fixture.numFound([9, 2, 3, 4, 5, 6, 7]), 0);
  assert.equal(fixture.numFound([1, 2, 3], { root: rootKey({ format: 'q8' }) }), 0);
  assert.equal(fixture.pool.numFreeUnits, 60 - 3 * SHAPE.sealedUnits - SHAPE.sinkUnits);
});

test('what is there already is given back instead of the own page, which nobody keeps', () => {
  const fixture = new Fixture();
  const [first] = fixture.add([1, 2, 3]);
  const [again] = fixture.add([1, 2, 3]);
  assert.equal(again?.page, first?.page);
  assert.equal(again?.sinkPage, first?.sinkPage);
  assert.equal(fixture.pool.numPages, 2);
});

test('a page is in the tree once', () => {
  const fixture = new Fixture();
  const [first] = fixture.add([1, 2, 3]);
  const [other] = pagesOf([1, 2, 3], { tenant: 'b' });
  const { page, sinkPage } = first as PrefixNode;
  assert.throws(() => fixture.tree.insert(other, { page, sinkPage }), {
    name: 'PageIntegrityError',
    message: `page ${page} is in the tree under another key`,
  });
});

test('a page whose parent is not there, or has gone, is not taken', () => {
  const fixture = new Fixture();
  const [, second] = pagesOf([1, 2, 3, 4, 5]);
  const page = fixture.pool.allocate(3);
  assert.equal(fixture.tree.insert(second, { page, sinkPage: undefined }), undefined);
  fixture.pool.check([page]);
});

test('keys that collide only miss: other tokens, another parent or another tenant', () => {
  const fixture = new Fixture();
  fixture.add([1, 2, 3, 4, 5]);
  const [first, second] = pagesOf([1, 2, 3, 4, 5]);
  const page = fixture.pool.allocate(3);
  for (const other of [
    { ...first, tokens: [1, 2, 4] },
    { ...first, tokens: [1, 2] },
    { ...first, tenant: 'b' },
    { ...first, tenant: undefined },
    { ...second, parent: ROOT },
  ]) {
    assert.equal(fixture.tree.find(other), undefined);
    assert.equal(fixture.tree.insert(other, { page, sinkPage: undefined }), undefined);
  }
  assert.equal(fixture.tree.numPages, 2);
  fixture.pool.release(page);
  fixture.pool.check(fixture.tree.ownedPages());
});

describe('eviction', () => {
  test('goes from the tail of a chain, and takes the chain first that was not used for longest', () => {
    const fixture = new Fixture();
    const [first] = fixture.add([1, 2, 3, 4, 5, 6, 7]);
    fixture.add([1, 2, 3, 8, 9]);
    fixture.add([5, 6, 7]);
    fixture.tree.touch(pagesOf([1, 2, 3, 4, 5, 6, 7]).map((page) => fixture.tree.find(page) as PrefixNode));
    const order = Array.from({ length: 6 }, () => fixture.evict());
    assert.deepEqual(order, ['89', '567', '67', '45', '123', undefined]);
    assert.equal(fixture.pool.numFreeUnits, 60);
    assert.equal(fixture.numFound([1, 2, 3]), 0);
    assert.throws(() => fixture.pool.unitOf((first as PrefixNode).page));
  });

  test('leaves what somebody uses, and what is before it', () => {
    const fixture = new Fixture();
    const [, second] = fixture.add([1, 2, 3, 4, 5, 6, 7]) as PrefixNode[];
    fixture.pool.retain(second.page);
    const evicted: (number[] | undefined)[] = [];
    while (fixture.tree.evictOne(({ tokens }) => evicted.push([...tokens])));
    assert.deepEqual(evicted, [[6, 7]]);
    assert.equal(fixture.tree.oldestUse(), undefined);
    fixture.pool.release(second.page);
    fixture.tree.clear();
    assert.deepEqual([fixture.tree.numPages, fixture.pool.numFreeUnits], [0, 60]);
  });

  test('tells of a page while it is still there', () => {
    const fixture = new Fixture();
    const [node] = fixture.add([1, 2, 3]) as PrefixNode[];
    fixture.tree.evictOne((evicted) => {
      assert.equal(evicted.page, node.page);
      assert.equal(fixture.pool.numOwnersOf(evicted.page), 1);
    });
  });

  test('of one tenant leaves those of others', () => {
    const fixture = new Fixture();
    fixture.add([1, 2, 3, 4, 5], { tenant: 'a' });
    fixture.add([1, 2, 3], { tenant: 'b' });
    assert.deepEqual([fixture.evict('b'), fixture.evict('b')], ['123', undefined]);
    assert.deepEqual([fixture.evict('a'), fixture.evict('a'), fixture.evict('a')], ['45', '123', undefined]);
  });
});

test('tenants are apart but for a public prefix, as far as its last full page', () => {
  const fixture = new Fixture();
  const tokens = [1, 2, 3, 4, 5, 6, 7];
  fixture.add(tokens, { tenant: 'a', numPublicTokens: 6 });
  assert.equal(fixture.numFound(tokens, { tenant: 'b' }), 0);
  assert.equal(fixture.numFound(tokens, { tenant: 'b', numPublicTokens: 6 }), 2);
  assert.equal(fixture.numFound(tokens, { tenant: 'a', numPublicTokens: 6 }), 3);
  assert.equal(fixture.numFound(tokens, { tenant: 'a' }), 0);
  // A tenant cannot call itself so that it passes for everybody.
  assert.equal(fixture.numFound(tokens, { tenant: '' }), 0);
});

test('units count for the tenant whose pages they are, sink pages included; public ones for nobody', () => {
  const fixture = new Fixture();
  const { tree } = fixture;
  fixture.add([1, 2, 3, 4, 5], { tenant: 'a' });
  fixture.add([1, 2, 3], { tenant: 'b' });
  fixture.add([7, 7, 7, 7, 7], { tenant: 'b', numPublicTokens: 3 });
  assert.deepEqual(
    ['a', 'b', 'c'].map((tenant) => tree.unitsOfTenant(tenant)),
    [7, 7, 0],
  );
  assert.deepEqual([tree.ownedPages('a').length, tree.ownedPages('b').length, tree.ownedPages().length], [3, 3, 8]);
  tree.evictOne(undefined, 'b');
  tree.evictOne(undefined, 'b');
  assert.equal(tree.unitsOfTenant('b'), 0);
  tree.clear();
  assert.equal(tree.unitsOfTenant('a'), 0);
});
