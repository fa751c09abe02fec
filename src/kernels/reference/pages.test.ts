import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import type { KvShape } from '../../cache/page-layout.ts';
import { f16PageLayout, sealedPageLayout } from '../../cache/page-layout.ts';
import { f16BitsClamped, f16Value } from '../../quant/f16.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { TileSpec } from '../../quant/tile-spec.ts';
import { openTile, sealTile } from '../../quant/tile.ts';
import { Pages } from './pages.ts';
import type { TilePlace } from './pages.ts';
import { TileCache } from './tile-cache.ts';

const SHAPE: KvShape = { numLayers: 2, numKvHeads: 3, headDim: 48 };
const KINDS = ['k', 'v'] as const;

function halves(length: number, seed: number): Float32Array {
  const normal = normalStream(seed);
  return new Float32Array(length).map(() => f16Value(f16BitsClamped(normal())));
}

function openTileOf(spec: TileSpec, data: Float32Array, feedback?: Float32Array): Float64Array {
  return openTile(spec, sealTile(spec, data, feedback));
}

function* places(page: number): Generator<TilePlace> {
  for (let layer = 0; layer < SHAPE.numLayers; layer++) {
    for (let head = 0; head < SHAPE.numKvHeads; head++) for (const kind of KINDS) yield { page, layer, head, kind };
  }
}

test('every token of every tile of an f16 page keeps its place', () => {
  const pages = new Pages(f16PageLayout(5, SHAPE), 2);
  const written = [...places(1)].flatMap((place, tile) =>
    [0, 1, 2, 3, 4].map((token) => ({ place, token, values: halves(48, 10 * tile + token) })),
  );
  for (const { place, token, values } of written) pages.writeToken(place, token, values);
  for (const { place, token, values } of written) {
    const tile = pages.readTile(place, 5);
    assert.deepEqual(tile.slice(48 * token, 48 * (token + 1)), Float64Array.from(values));
    assert.equal(pages.readTile(place, 2).length, 96);
  }
  assert.ok(pages.pageBytes(0).every((byte) => byte === 0));
});

test('K of layer 0, head 0 starts an f16 page, little-endian, clamped to the largest half', () => {
  const pages = new Pages(f16PageLayout(1, SHAPE), 1);
  pages.writeToken({ page: 0, layer: 0, head: 0, kind: 'k' }, 0, new Float32Array(48).fill(1e6));
  assert.deepEqual([...pages.pageBytes(0).subarray(0, 4)], [0xff, 0x7b, 0xff, 0x7b]);
});

test('tiles of every format come back as the tile quantizer decodes them, halves as they are', () => {
  const names = ['f16', 'q8', 'q6', 'q5', 'q4', 'q3', 'q2', 'q1', 'k8v4', 'k4v8', 'k16v4', 'k4v16', 'k6v1', 'k1v3'];
  for (const name of names) {
    const format = parseKvFormat(name, 48);
    const pages = new Pages(sealedPageLayout(format, SHAPE), 2);
    const data = (place: TilePlace): Float32Array =>
      halves(64 * 48, 100 * place.layer + 10 * place.head + (place.kind === 'k' ? 1 : 2));
    for (const place of places(1)) pages.writeTile(place, data(place));
    for (const place of places(1)) {
      const { bits } = format[place.kind];
      const spec = { kind: place.kind, numTokens: 64, headDim: 48 };
      const expected = bits === 16 ? Float64Array.from(data(place)) : openTileOf({ ...spec, bits }, data(place));
      assert.deepEqual(pages.readTile(place, 64), expected, `${name} ${JSON.stringify(place)}`);
    }
    assert.ok(pages.pageBytes(0).every((byte) => byte === 0));
  }
});

test('layers of other bits keep to their tiles, and errors that channels take come into keys alone', () => {
  const layerBits = [
    { k: 3, v: 16 },
    { k: 5, v: 1 },
  ] as const;
  const pages = new Pages(sealedPageLayout({ ...parseKvFormat('q4', 48), layerBits }, SHAPE), 1);
  const feedback = halves(48 * 48, 5).map((value, i) => (i % 48 < Math.floor(i / 48) ? value / 16 : 0));
  const data = halves(64 * 48, 1);
  for (const place of places(0)) pages.writeTile(place, data, place.kind === 'k' ? feedback : undefined);
  for (const place of places(0)) {
    const { kind, layer } = place;
    const bits = layerBits[layer][kind];
    const expected =
      bits === 16
        ? Float64Array.from(data)
        : openTileOf({ kind, bits, numTokens: 64, headDim: 48 }, data, kind === 'k' ? feedback : undefined);
    assert.deepEqual(pages.readTile(place, 64), expected, JSON.stringify(place));
  }
});

test('pages that do not exist, and memory that does not, are refused', () => {
  const pages = new Pages(f16PageLayout(1, SHAPE), 2);
  assert.throws(() => pages.pageBytes(2), /page 2 is not in \[0, 2\)/);
  assert.throws(() => pages.pageBytes(-1), /page -1/);
  assert.throws(() => new Pages(f16PageLayout(64, SHAPE), 2 ** 45), {
    code: 'OUT_OF_MEMORY',
    message: /no memory for 35184372088832 pages of 73728 bytes: lower the context/,
  });
});

test('cached tiles equal decoded ones, are forgotten by page, and stop at the limit', () => {
  const pages = new Pages(f16PageLayout(2, SHAPE), 2);
  const tileBytes = 2 * 48 * 8;
  const cache = new TileCache(pages, 2 * tileBytes);
  const at = (page: number): TilePlace => ({ page, layer: 1, head: 2, kind: 'v' });
  pages.writeToken(at(0), 0, new Float32Array(48).fill(1));
  assert.equal(cache.read(at(0))[0], 1);
  assert.equal(cache.read({ ...at(0), kind: 'k' })[0], 0);
  assert.equal(cache.sizeBytes, 2 * tileBytes);
  assert.equal(cache.read(at(1)).length, 96);
  assert.equal(cache.sizeBytes, 2 * tileBytes);
  pages.writeToken(at(0), 0, new Float32Array(48).fill(2));
  assert.equal(cache.read(at(0))[0], 1);
  cache.forgetPage(0);
  assert.equal(cache.sizeBytes, 0);
  assert.equal(cache.read(at(0))[0], 2);
});
