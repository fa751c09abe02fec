import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { nibbleRowBytes, packNibbles, unpackNibbles } from './nibbles.ts';

test('packing loses nothing, at whole and partial groups of 32', () => {
  const random = uniformStream(1);
  for (const numCols of [1, 16, 31, 32, 33, 48, 80, 96, 128]) {
    const codes = new Uint8Array(5 * numCols).map(() => Math.floor(16 * random()));
    const plane = packNibbles(codes, 5, numCols);
    assert.equal(plane.length, 5 * nibbleRowBytes(numCols));
    assert.deepEqual(unpackNibbles(plane, 5, numCols), codes);
  }
});

test('byte i holds element i low and element 16 + i high, and padding is zeros', () => {
  const plane = packNibbles(
    Uint8Array.from({ length: 40 }, (_, i) => i % 16),
    1,
    40,
  );
  assert.equal(plane.length, 32);
  for (let i = 0; i < 16; i++) assert.equal(plane[i], i + 16 * i);
  for (let i = 0; i < 8; i++) assert.equal(plane[16 + i], i);
  for (let i = 8; i < 16; i++) assert.equal(plane[16 + i], 0);
  const second = packNibbles(Uint8Array.of(...new Array<number>(16).fill(0), 9), 1, 17);
  assert.equal(second[0], 9 * 16);
});

test('codes that do not fit and lengths that do not match are refused', () => {
  assert.throws(() => packNibbles(Uint8Array.of(0, 16), 1, 2), /code 16 at row 0, column 1 does not fit 4 bits/);
  assert.throws(() => packNibbles(new Uint8Array(3), 1, 2), /codes: 3 bytes, not 2/);
  assert.throws(() => unpackNibbles(new Uint8Array(15), 1, 2), /plane: 15 bytes, not 16/);
});
