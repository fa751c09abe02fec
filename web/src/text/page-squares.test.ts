import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StripPage } from '../api/cache-status.ts';
import { layOutSquares, nearestBits, squareIndex } from './page-squares.ts';

function pages(count: number, page: Partial<StripPage> = {}): StripPage[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    state: 'sealed',
    format: 'q4',
    bits: 4.34,
    users: 1,
    ...page,
  }));
}

function squares(path: string): number {
  return path.split('z').length - 1;
}

describe('layOutSquares', () => {
  it('draws each page once, by bits and state', () => {
    const strip = [...pages(3), ...pages(2, { bits: 8.4 }), ...pages(4, { state: 'shared' })];
    const { shapes, markPath } = layOutSquares(strip, 0);
    assert.deepEqual(
      shapes.map(({ bits, state, path }) => [bits, state, squares(path)]),
      [
        [4, 'sealed', 3],
        [8, 'sealed', 2],
        [4, 'shared', 4],
      ],
    );
    assert.equal(squares(markPath), 4);
  });

  it('draws free squares in whole rows, but never more than there is room for', () => {
    const few = layOutSquares(pages(10), 1000);
    assert.equal(10 + squares(few.freePath), 96);
    const many = layOutSquares(pages(300), 10_000);
    assert.equal((300 + squares(many.freePath)) % many.columns, 0);
    assert.equal(squares(layOutSquares(pages(10), 3).freePath), 3);
  });

  it('has rows enough for all of 4,096 pages, and one for none', () => {
    const { columns, rows } = layOutSquares(pages(4096), 0);
    assert.ok(columns * rows >= 4096);
    assert.equal(layOutSquares([], 0).rows, 1);
  });

  it('finds the page at a point', () => {
    const { columns } = layOutSquares(pages(40), 0);
    assert.equal(squareIndex(0.5, 0.5, columns), 0);
    assert.equal(squareIndex(2.9, 1.1, columns), columns + 2);
    assert.equal(squareIndex(columns, 0, columns), columns - 1);
  });
});

describe('nearestBits', () => {
  it('takes 4.34 bits for 4, and 16 for 16', () => {
    assert.deepEqual([16, 8.36, 6.4, 5.34, 4.34, 3.34, 2.36, 1.3].map(nearestBits), [16, 8, 6, 5, 4, 3, 2, 1]);
  });
});
