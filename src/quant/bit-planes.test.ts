import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { CODE_BITS, packPlanes, planeRowBytes, planesOf, unpackPlanes, type CodeBits } from './bit-planes.ts';

const SHAPES = [
  [1, 1],
  [3, 31],
  [2, 32],
  [2, 33],
  [5, 64],
  [4, 80],
  [3, 96],
  [2, 100],
  [2, 128],
  [1, 160],
  [1, 256],
  [0, 64],
  [7, 0],
] as const;

function randomCodes(bits: CodeBits, length: number, seed: number): Uint8Array {
  const uniform = uniformStream(seed);
  return new Uint8Array(length).map(() => Math.floor(uniform() * 2 ** bits));
}

test('packing loses nothing, at every width and shape', () => {
  for (const bits of CODE_BITS) {
    for (const [numRows, numCols] of SHAPES) {
      for (let seed = 1; seed <= 5; seed++) {
        const codes = randomCodes(bits, numRows * numCols, seed);
        const planes = packPlanes(codes, bits, numRows, numCols);
        assert.deepEqual(unpackPlanes(planes, bits, numRows, numCols), codes, `${bits} bits, ${numRows} x ${numCols}`);
      }
    }
  }
});

test('planes are as wide as a code together, the most significant bits first, rows whole words and padding zeros', () => {
  for (const bits of CODE_BITS) {
    assert.equal(
      planesOf(bits).reduce<number>((sum, width) => sum + width, 0),
      bits,
    );
    const ones = new Uint8Array(2 * 80).fill(2 ** bits - 1);
    packPlanes(ones, bits, 2, 80).forEach((plane, index) => {
      const planeBits = planesOf(bits)[index];
      assert.equal(plane.length, 2 * planeRowBytes(planeBits, 80));
      assert.equal(plane.length, 2 * 12 * planeBits);
      const setBits = plane.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
      assert.equal(setBits, 2 * 80 * planeBits);
    });
    const [high] = packPlanes(Uint8Array.of(2 ** (bits - 1)), bits, 1, 1);
    assert.equal(high[0], 2 ** (planesOf(bits)[0] - 1));
  }
});

test('byte i of a group of n bytes has code i + n * j at bit j * width', () => {
  const at = (bits: CodeBits, numCols: number, col: number): number[] => {
    const codes = new Uint8Array(numCols);
    codes[col] = 1;
    const plane = packPlanes(codes, bits, 1, numCols).at(-1) ?? new Uint8Array();
    const byte = plane.findIndex((value) => value !== 0);
    return [byte, Math.log2(plane[byte])];
  };
  assert.deepEqual(at(4, 64, 5), [5, 0]);
  assert.deepEqual(at(4, 64, 21), [5, 4]);
  assert.deepEqual(at(4, 64, 33), [17, 0]);
  assert.deepEqual(at(2, 64, 5), [5, 0]);
  assert.deepEqual(at(2, 64, 63), [15, 6]);
  assert.deepEqual(at(2, 96, 64), [16, 0]);
  assert.deepEqual(at(2, 96, 95), [23, 6]);
  assert.deepEqual(at(1, 64, 17), [1, 2]);
  assert.deepEqual(at(1, 96, 95), [11, 7]);
  assert.deepEqual(at(3, 64, 63), [7, 7]);
  assert.deepEqual(at(6, 64, 63), [15, 6]);
});

test('codes that do not fit and lengths that do not match are refused', () => {
  assert.throws(() => packPlanes(Uint8Array.of(1, 8), 3, 1, 2), /code 8 at row 0, column 1 does not fit 3 bits/);
  assert.throws(() => packPlanes(new Uint8Array(5), 4, 2, 3), /codes: 5 bytes, not 6/);
  assert.throws(() => unpackPlanes([new Uint8Array(16)], 8, 1, 32), /1 planes for 8 bits/);
  assert.throws(() => unpackPlanes([new Uint8Array(15)], 4, 1, 32), /plane: 15 bytes, not 16/);
});
