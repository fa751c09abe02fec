import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CODE_BITS } from './bit-planes.ts';
import { F16_MAX, f16BitsClamped, f16Value } from './f16.ts';
import { dequantize, quantize } from './quantize.ts';
import { TENSOR_DATA, tensorData } from './testing/tensor-data.ts';
import type { TileSpec } from './tile-spec.ts';
import { openTile, sealTile } from './tile.ts';

const KINDS = ['k', 'v'] as const;

test('whole pages are the bytes that the cache seals from the same values in f16, and their values', () => {
  for (const kind of KINDS) {
    for (const bits of CODE_BITS) {
      const data = tensorData('Gaussian', [128, 40]);
      const quantized = quantize({ data, shape: [128, 40] }, { bits, granularity: 'tile', kind });
      const spec: TileSpec = { kind, bits, numTokens: 64, headDim: 40 };
      const halves = data.map((value) => f16Value(f16BitsClamped(value)));
      const tiles = [sealTile(spec, halves.slice(0, 64 * 40)), sealTile(spec, halves.slice(64 * 40))];
      assert.deepEqual(quantized.tiles, tiles);
      const values = tiles.flatMap((tile) => [...openTile(spec, tile)]);
      assert.deepEqual(dequantize(quantized), { data: Float32Array.from(values), shape: [128, 40] });
    }
  }
});

test('a last page that is not full repeats its last token to a multiple of 32; any number of tokens comes back', () => {
  for (const kind of KINDS) {
    for (const numTokens of [1, 31, 32, 33, 63, 64, 65, 96, 97, 130]) {
      const shape = [numTokens, 48];
      const data = tensorData('Gaussian', shape);
      const quantized = quantize({ data, shape }, { bits: 8, granularity: 'tile', kind });
      assert.equal(quantized.tiles.length, Math.ceil(numTokens / 64));
      const result = dequantize(quantized);
      assert.deepEqual(result.shape, shape);
      // A range of 10 has steps of 0.04.
      assert.ok(result.data.every((value, i) => Math.abs(value - data[i]) < 0.03));
    }
  }
  const filled = tensorData('Gaussian', [64, 16]).map((value, i, all) =>
    i < 40 * 16 ? value : all[39 * 16 + (i % 16)],
  );
  const options = { bits: 4, granularity: 'tile', kind: 'k' } as const;
  const short = quantize({ data: filled.slice(0, 40 * 16), shape: [40, 16] }, options);
  assert.deepEqual(short.tiles, quantize({ data: filled, shape: [64, 16] }, options).tiles);
});

test('bits per element count metadata and padding: .44 for keys and .28 for values above the codes, 64 x 64', () => {
  const shape = [64, 64];
  const data = tensorData('Gaussian', shape);
  for (const bits of CODE_BITS) {
    const [keys, values] = KINDS.map((kind) => quantize({ data, shape }, { bits, granularity: 'tile', kind }));
    assert.equal(keys.bitsPerElement, bits + (8 * (32 + 64 + 2 * 64)) / 4096);
    assert.equal(values.bitsPerElement, bits + (8 * (16 + 2 * 64)) / 4096);
  }
  const padded = quantize(
    { data: tensorData('Gaussian', [64, 80]), shape: [64, 80] },
    { bits: 3, granularity: 'tile', kind: 'k' },
  );
  assert.equal(padded.bitsPerElement, (3 * 96) / 80 + (8 * (32 + 64 + 2 * 80)) / (64 * 80));
});

test('any data up to 65504 come back finite from codes of every width', () => {
  for (const name of Object.keys(TENSOR_DATA)) {
    const data = tensorData(name, [70, 40]).map((value) => Math.min(Math.max(value, -F16_MAX), F16_MAX));
    for (const bits of CODE_BITS) {
      for (const kind of KINDS) {
        const { data: decoded } = dequantize(quantize({ data, shape: [70, 40] }, { bits, granularity: 'tile', kind }));
        assert.ok(decoded.every(Number.isFinite), `${name}, ${kind}, ${bits} bits`);
      }
    }
  }
});

test('tensors without elements have no tiles, and heads of one channel work', () => {
  for (const kind of KINDS) {
    for (const shape of [
      [0, 16],
      [5, 0],
      [0, 0],
    ]) {
      const quantized = quantize({ data: [], shape }, { bits: 4, granularity: 'tile', kind });
      assert.deepEqual([quantized.tiles, quantized.bitsPerElement], [[], 0]);
      assert.deepEqual(dequantize(quantized), { data: new Float32Array(0), shape });
    }
    const one = quantize({ data: [0.5], shape: [1, 1] }, { bits: 4, granularity: 'tile', kind });
    assert.ok(Math.abs(dequantize(one).data[0] - 0.5) < 1e-6);
  }
});

test('tensors that tiles cannot hold are refused', () => {
  const options = { bits: 4, granularity: 'tile', kind: 'k' } as const;
  assert.throws(() => quantize({ data: [1, 70_000], shape: [1, 2] }, options), {
    code: 'INVALID_INPUT',
    message: /^value 70000 at index 1 is beyond 65504, .*: scale the tensor down or choose another granularity$/,
  });
  const message = /^tiles hold a tensor \[tokens, channels\], not one of shape \[2, 1, 1\]$/;
  assert.throws(() => quantize({ data: [1, 2], shape: [2, 1, 1] }, options), { code: 'INVALID_INPUT', message });
});

test('tiles whose fields do not fit each other are refused', () => {
  const shape = [64, 16];
  const good = quantize({ data: tensorData('Gaussian', shape), shape }, { bits: 4, granularity: 'tile', kind: 'v' });
  const refuses = (changes: object, message: RegExp): void => {
    assert.throws(() => dequantize({ ...good, ...changes }), { code: 'INVALID_INPUT', message });
  };
  refuses({ kind: 'q' }, /no tiles of kind q$/);
  refuses({ bits: 7 }, /codes of .* bits, not 7$/);
  refuses({ shape: [65, 16] }, /^tiles must be a list of 2, one for each 64 tokens$/);
  refuses({ shape: [64] }, /^tiles hold a tensor \[tokens, channels\]/);
  refuses({ tiles: undefined }, /^tiles must be a list of 1/);
  refuses({ tiles: [{ ...good.tiles[0], meta: new Uint8Array(3) }] }, /^tile 0: metadata of a v tile: 3 bytes, not /);
  refuses({ tiles: [{ ...good.tiles[0], planes: [new Uint8Array(7)] }] }, /^tile 0: plane: 7 bytes, not 512$/);
  refuses({ bits: 5 }, /^tile 0: 1 planes for 5 bits$/);
  for (const number of [NaN, Infinity, -1e39]) {
    for (const offset of [0, 4, 8, 12]) {
      const meta = good.tiles[0].meta.slice();
      new DataView(meta.buffer).setFloat32(offset, number, true);
      refuses({ tiles: [{ ...good.tiles[0], meta }] }, /^tile 0: its metadata are not finite$/);
    }
  }
});
