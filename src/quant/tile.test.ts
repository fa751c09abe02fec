import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { normalStream, uniformStream } from '../../test/random-data.ts';
import { CODE_BITS, type CodeBits } from './bit-planes.ts';
import { f16BitsClamped, f16Value } from './f16.ts';
import { readTileMeta } from './tile-meta.ts';
import type { TileSpec } from './tile-spec.ts';
import { tileMetaBytes, tilePlanesBytes } from './tile-spec.ts';
import { openTile, sealTile, tileCodes } from './tile.ts';

type Fill = (token: number, channel: number, normal: () => number) => number;

const KINDS = ['k', 'v'] as const;
const BITS = CODE_BITS;
const FILLS: Record<string, Fill> = {
  Gaussian: (_t, _c, normal) => normal(),
  'outlier channels (x40)': (_t, c, normal) => normal() * (c % 13 === 5 ? 40 : 1),
  'key bias': (_t, c, normal) => normal() + (c % 7 === 3 ? 25 : -0.5 * (c % 3)),
  'tokens of unlike size, one zero': (t, _c, normal) => (t === 9 ? 0 : normal() * 10 ** -(t % 4)),
  zeros: () => 0,
  'minus zeros among zeros': (t, c) => ((t + c) % 3 === 0 ? -0 : 0),
  constant: () => 3.14,
  'constant channels': (_t, c) => c - 7.5,
  'constant tokens': (t) => t - 7.5,
  denormals: (_t, _c, normal) => normal() * 2 ** -21,
  'huge values': (t, c, normal) => ((t + c) % 5 === 0 ? Math.sign(normal()) * 65504 : normal()),
  'all huge': (_t, _c, normal) => normal() * 1e6,
};

/** f16 values, as an open page holds them. */
function tileData({ numTokens, headDim }: TileSpec, fill: Fill, seed = 1): Float32Array {
  const normal = normalStream(seed);
  return new Float32Array(numTokens * headDim).map((_, i) =>
    f16Value(f16BitsClamped(fill(Math.floor(i / headDim), i % headDim, normal))),
  );
}

function* allSpecs(): Generator<TileSpec> {
  for (const kind of KINDS) {
    for (const bits of BITS) {
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

for (const [name, fill] of Object.entries(FILLS)) {
  test(`${name}: every value comes back within half a step + 2^-20 of its size, at all shapes`, () => {
    for (const spec of allSpecs()) assertWithinHalfAStep(spec, tileData(spec, fill), JSON.stringify(spec));
  });

  test(`${name}: no scale is above (range + zStep) / (2^bits - 1) + sStep`, () => {
    for (const kind of KINDS) {
      const spec: TileSpec = { kind, bits: 4, numTokens: 64, headDim: 48 };
      assertTightScales(spec, tileData(spec, fill), kind);
    }
  });
}

/** A little above what is measured. */
const MOST_ERROR: Readonly<Record<CodeBits, number>> = {
  8: 3e-5,
  6: 4.6e-4,
  5: 2e-3,
  4: 8.5e-3,
  3: 0.04,
  2: 0.25,
  1: 2.5,
};

test('Gaussian tiles of 64 x 64: mean squared error below 8.5e-3 (4 bits) and 3e-5 (8 bits) of the variance', () => {
  for (const kind of KINDS) {
    for (const bits of BITS) {
      const spec: TileSpec = { kind, bits, numTokens: 64, headDim: 64 };
      const x = tileData(spec, FILLS.Gaussian, 7);
      const decoded = openTile(spec, sealTile(spec, x));
      const energy = x.reduce((sum, value) => sum + value ** 2, 0);
      const error = x.reduce((sum, value, i) => sum + (value - decoded[i]) ** 2, 0);
      assert.ok(error / energy < MOST_ERROR[bits], `${kind}, ${bits} bits: ${error / energy}`);
    }
  }
});

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

test('the bytes of format version 1 stay what they are', () => {
  const digests = KINDS.flatMap((kind) =>
    BITS.map((bits) => {
      const spec: TileSpec = { kind, bits, numTokens: 64, headDim: 80 };
      const uniform = uniformStream(3);
      const { meta, planes } = sealTile(
        spec,
        tileData(spec, (_t, c) => uniform() - 0.5 + (c % 7 === 3 ? 25 : 0)),
      );
      const hash = createHash('sha256').update(meta);
      for (const plane of planes) hash.update(plane);
      return hash.digest('hex').slice(0, 16);
    }),
  );
  assert.deepEqual(digests, ['e4a46559792245dc', '9cc81b35e1728e03', '4102a503f2362491', 'd1fbb99696126ced']);
});

test('sizes of metadata and planes: K rows are padded to 32 channels, metadata to 16 bytes', () => {
  for (const spec of allSpecs()) {
    const { meta, planes } = sealTile(spec, tileData(spec, FILLS.Gaussian));
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
