import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { CODE_BITS } from './bit-planes.ts';
import { TILE_FILLS, tileData } from './testing/tile-data.ts';
import { readTileMeta } from './tile-meta.ts';
import type { TileSpec } from './tile-spec.ts';
import { tileMetaBytes, tilePlanesBytes } from './tile-spec.ts';
import { openTile, sealTile, tileCodes } from './tile.ts';

const KINDS = ['k', 'v'] as const;

function* allSpecs(): Generator<TileSpec> {
  for (const kind of KINDS) {
    for (const bits of CODE_BITS) {
      for (const numTokens of bits === 4 ? [32, 64, 128] : [64]) {
        for (const headDim of bits === 4 ? [16, 32, 48, 64, 80, 96, 128, 256] : [16, 64, 80]) {
          yield { kind, bits, numTokens, headDim };
        }
      }
    }
  }
}

/**
 * Asserts |x - decoded| <= step / 2 everywhere, the step being s (V) or a * s (K), beside float32 roundings of 2^-20.
 */
function assertWithinHalfAStep(spec: TileSpec, x: Float32Array, label: string): void {
  const tile = sealTile(spec, x);
  const decoded = openTile(spec, tile);
  const { a, s, z } = readTileMeta(spec, tile.meta);
  for (let i = 0; i < x.length; i++) {
    const t = Math.floor(i / spec.headDim);
    const row = spec.kind === 'k' ? i % spec.headDim : t;
    const factor = a ? a.values[t] : 1;
    const step = factor * s.values[row];
    const rounding = 2 ** -20 * (Math.abs(x[i]) + Math.abs(factor * z.values[row]));
    const error = Math.abs(x[i] - decoded[i]);
    if (!(error <= step / 2 + rounding)) assert.fail(`${label}: |${x[i]} - ${decoded[i]}| > ${step} / 2 at ${i}`);
  }
}

/**
 * Asserts that every s is at most (range of its row + zStep) / (2^bits - 1) + sStep: what the rounding of z and s
 * costs.
 */
function assertTightScales(spec: TileSpec, x: Float32Array, label: string): void {
  const { a, s, z } = readTileMeta(spec, sealTile(spec, x).meta);
  s.values.forEach((scale, row) => {
    const y = [...x]
      .map((value, i) => (a ? value / a.values[Math.floor(i / spec.headDim)] : value))
      .filter((_, i) => (spec.kind === 'k' ? i % spec.headDim : Math.floor(i / spec.headDim)) === row);
    const [lo, hi] = [Math.min(...y), Math.max(...y)];
    const bound = (hi - lo + z.step) / (2 ** spec.bits - 1) + s.step;
    const rounding = 2 ** -20 * (Math.abs(lo) + Math.abs(hi));
    if (!(scale <= bound + rounding)) assert.fail(`${label}: scale ${scale} of row ${row} is above ${bound}`);
  });
}

for (const [name, fill] of Object.entries(TILE_FILLS)) {
  test(`${name}: from 4 bits on every value comes back within half a step + 2^-20 of its size, at all shapes`, () => {
    for (const spec of allSpecs()) {
      if (spec.bits >= 4) assertWithinHalfAStep(spec, tileData(spec, fill), JSON.stringify(spec));
    }
  });

  test(`${name}: no scale is above (range + zStep) / (2^bits - 1) + sStep`, () => {
    for (const kind of KINDS) {
      const spec: TileSpec = { kind, bits: 4, numTokens: 64, headDim: 48 };
      assertTightScales(spec, tileData(spec, fill), kind);
    }
  });
}

test('values that lie on the grid come back exactly', () => {
  const spec: TileSpec = { kind: 'v', bits: 4, numTokens: 32, headDim: 16 };
  const x = tileData(spec, (_t, c) => c);
  const tile = sealTile(spec, x);
  assert.deepEqual(openTile(spec, tile), Float64Array.from(x));
  assert.deepEqual(tileCodes(spec, tile.planes), Uint8Array.from(x));
});

test('a token of a thousandth of the others does not cost them precision', () => {
  const spec: TileSpec = { kind: 'k', bits: 4, numTokens: 64, headDim: 64 };
  const sizes = (t: number): number => (t === 3 ? 0 : t === 5 ? 1e-3 : 1);
  const x = tileData(spec, (t, _c, normal) => sizes(t) * normal());
  const decoded = openTile(spec, sealTile(spec, x));
  const error = x.reduce((sum, value, i) => sum + (value - decoded[i]) ** 2, 0);
  assert.ok(error / x.length < 0.0085);
});

/** By bits, keys then values. */
const DIGESTS = {
  8: ['9cc81b35e1728e03', 'd1fbb99696126ced'],
  6: ['86bf714f113d0ea6', '97ba2c7730966d91'],
  5: ['332427a2ad359333', '5697f61f1fea7e96'],
  4: ['e4a46559792245dc', '4102a503f2362491'],
  3: ['4d9b53441f492b00', '5574bdc66f3f79ea'],
  2: ['b8651b2f1fc85549', 'e783d7b0a116c617'],
  1: ['7994a0047cad3259', '8f40e1fa25285746'],
};

test('the bytes of format version 1 stay what they are', () => {
  for (const bits of CODE_BITS) {
    const digests = KINDS.map((kind) => {
      const spec: TileSpec = { kind, bits, numTokens: 64, headDim: 80 };
      const uniform = uniformStream(3);
      const { meta, planes } = sealTile(
        spec,
        tileData(spec, (_t, c) => uniform() - 0.5 + (c % 7 === 3 ? 25 : 0)),
      );
      const hash = createHash('sha256').update(meta);
      for (const plane of planes) hash.update(plane);
      return hash.digest('hex').slice(0, 16);
    });
    assert.deepEqual(digests, DIGESTS[bits], `${bits} bits`);
  }
});

test('sizes of metadata and planes: K rows are padded to 32 channels, metadata to 16 bytes', () => {
  for (const spec of allSpecs()) {
    const { meta, planes } = sealTile(spec, tileData(spec, TILE_FILLS.Gaussian));
    const { kind, bits, numTokens, headDim } = spec;
    const used = kind === 'k' ? 32 + numTokens + 2 * headDim : 16 + 2 * numTokens;
    assert.equal(meta.length, Math.ceil(used / 16) * 16);
    assert.equal(meta.length, tileMetaBytes(spec));
    assert.ok(meta.subarray(used).every((byte) => byte === 0));
    const codeBits = kind === 'k' ? numTokens * 32 * Math.ceil(headDim / 32) : headDim * numTokens;
    assert.equal(
      planes.reduce((sum, plane) => sum + plane.length, 0),
      (codeBits * bits) / 8,
    );
    assert.deepEqual(
      planes.map((plane) => plane.length),
      tilePlanesBytes(spec),
    );
  }
});

test('shapes that no tile has and lengths that do not match are refused', () => {
  const spec: TileSpec = { kind: 'k', bits: 8, numTokens: 32, headDim: 16 };
  const tile = sealTile(spec, new Float32Array(512));
  assert.throws(() => sealTile({ ...spec, numTokens: 48 }, new Float32Array(768)), /multiple of 32 tokens, not 48/);
  assert.throws(() => sealTile({ ...spec, headDim: 0 }, new Float32Array(0)), /has no 0 channels/);
  assert.throws(() => sealTile(spec, new Float32Array(511)), /a k tile of 32 x 16 has 511 values/);
  assert.throws(() => tileCodes(spec, tile.planes.slice(1)), /1 planes for 8 bits/);
  assert.throws(() => openTile(spec, { ...tile, meta: tile.meta.slice(1) }), /metadata of a k tile: 95 bytes, not 96/);
});
