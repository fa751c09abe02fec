import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { CODE_BITS, packPlanes, planeRowBytes, planesOfBits, unpackPlanes } from './bit-planes.ts';
import type { CodeBits } from './bit-planes.ts';

const NUM_COLS = [0, 1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 96, 127, 128];

function randomCodes(bits: number, length: number, seed: number): Uint8Array {
  const random = uniformStream(seed);
  return new Uint8Array(length).map(() => Math.floor(2 ** bits * random()));
}

test('packing loses nothing, at every width, at whole and partial groups of 32, with and without rows', () => {
  for (const bits of CODE_BITS) {
    for (const numCols of NUM_COLS) {
      for (const numRows of [0, 1, 2, 5]) {
        const codes = randomCodes(bits, numRows * numCols, bits + numCols);
        const planes = packPlanes(codes, bits, numRows, numCols);
        assert.deepEqual(
          planes.map((plane) => plane.length),
          planesOfBits(bits).map((planeBits) => numRows * 4 * planeBits * Math.ceil(numCols / 32)),
        );
        assert.deepEqual(unpackPlanes(planes, bits, numRows, numCols), codes);
      }
    }
  }
});

test('every code of every width comes back from every place of a group', () => {
  for (const bits of CODE_BITS) {
    for (let code = 0; code < 2 ** bits; code++) {
      const codes = Uint8Array.from({ length: 32 }, (_, i) => (code + i) % 2 ** bits);
      assert.deepEqual(unpackPlanes(packPlanes(codes, bits, 1, 32), bits, 1, 32), codes);
    }
  }
});

test('in a plane of b bits, byte i holds elements i + 4 b j at bit b j', () => {
  for (const planeBits of [4, 2, 1] as const) {
    for (let element = 0; element < 32; element++) {
      const codes = new Uint8Array(32);
      codes[element] = 2 ** planeBits - 1;
      const [plane] = packPlanes(codes, planeBits, 1, 32);
      for (let i = 0; i < 4 * planeBits; i++) {
        for (let j = 0; j < 8 / planeBits; j++) {
          const field = (plane[i] >> (planeBits * j)) & (2 ** planeBits - 1);
          assert.equal(field, codes[i + 4 * planeBits * j], `element ${element}, byte ${i}, field ${j}`);
        }
      }
    }
  }
});

test('planes come most significant first: 8 = 4 + 4, 6 = 4 + 2, 5 = 4 + 1, 3 = 2 + 1, and each is that of its bits', () => {
  const widths: [CodeBits, number[]][] = [
    [8, [4, 4]],
    [6, [4, 2]],
    [5, [4, 1]],
    [4, [4]],
    [3, [2, 1]],
    [2, [2]],
    [1, [1]],
  ];
  for (const [bits, expected] of widths) {
    assert.deepEqual(planesOfBits(bits), expected);
    const codes = randomCodes(bits, 3 * 40, bits);
    let lowestBit: number = bits;
    packPlanes(codes, bits, 3, 40).forEach((plane, index) => {
      const planeBits = planesOfBits(bits)[index];
      lowestBit -= planeBits;
      const fields = codes.map((code) => (code >> lowestBit) % 2 ** planeBits);
      assert.deepEqual(plane, packPlanes(fields, planeBits, 3, 40)[0]);
    });
    assert.equal(lowestBit, 0);
  }
});

test('the bytes of planes stay what they are', () => {
  const hex = (bits: CodeBits): string[] => {
    const codes = Uint8Array.from({ length: 32 }, (_, i) => (i * i + 5 * Math.floor(i / 3) + i) % 2 ** bits);
    return packPlanes(codes, bits, 1, 32).map((plane) => Buffer.from(plane).toString('hex'));
  };
  assert.deepEqual(hex(6), ['a020d16406c87d2004ca9f846c425942', '18b6866d61db18b6']);
  assert.deepEqual(hex(3), ['0451eb141045ae51', '92b6246d']);
});

test('padding is zeros, and a row never shares a byte with another', () => {
  for (const bits of CODE_BITS) {
    const codes = new Uint8Array(2 * 33).fill(2 ** bits - 1);
    const planes = packPlanes(codes, bits, 2, 33);
    planesOfBits(bits).forEach((planeBits, index) => {
      const row = [...new Array<number>(4 * planeBits).fill(255), 2 ** planeBits - 1];
      row.push(...new Array<number>(planeRowBytes(planeBits, 33) - row.length).fill(0));
      assert.deepEqual([...planes[index]], [...row, ...row]);
    });
  }
});

test('codes that do not fit, widths that there are not and lengths that do not match are refused', () => {
  assert.throws(() => packPlanes(Uint8Array.of(0, 1, 0, 8), 3, 2, 2), /code 8 at row 1, column 1 does not fit 3 bits/);
  assert.throws(() => packPlanes(new Uint8Array(3), 4, 1, 2), /codes: 3 bytes, not 2/);
  assert.throws(() => packPlanes(new Uint8Array(2), 7 as CodeBits, 1, 2), {
    name: 'RangeError',
    message: 'codes have 8, 6, 5, 4, 3, 2, 1 bits, not 7',
  });
  assert.throws(() => unpackPlanes([new Uint8Array(16)], 8, 1, 2), /1 planes for 8 bits/);
  assert.throws(() => unpackPlanes([new Uint8Array(8), new Uint8Array(5)], 3, 1, 2), /plane 1: 5 bytes, not 4/);
});
