import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { CODE_BITS, type CodeBits } from './bit-planes.ts';
import { TILE_FILLS, tileData } from './testing/tile-data.ts';
import { readTileMeta } from './tile-meta.ts';
import type { TileSpec } from './tile-spec.ts';
import { openTile, sealTile } from './tile.ts';

/** What codes of 3 bits and fewer, and those that take errors of other channels, promise in place of half a step. */

const KINDS = ['k', 'v'] as const;
const SPREAD_BITS: readonly CodeBits[] = [3, 2, 1];

/** Strictly lower triangles of Gaussian numbers, [headDim, headDim]. */
function randomFeedback(headDim: number, size: number, seed = 5): Float32Array {
  const normal = normalStream(seed);
  return new Float32Array(headDim ** 2).map((_, i) => {
    const value = (size * normal()) / Math.sqrt(headDim);
    return i % headDim < Math.floor(i / headDim) ? value : 0;
  });
}

/**
 * Asserts that no error is above `mostRanges` ranges of its row, as the tile divides it, beside what rounding the metadata
 * to bytes costs: half a step (`nearest`; a whole one where they are rounded down or up) of z, and of s for each code.
 */
function assertWithinRanges(spec: TileSpec, x: Float32Array, mostRanges: number, feedback?: Float32Array): void {
  const { kind, bits, headDim } = spec;
  const tile = sealTile(spec, x, feedback);
  const { a, s, z } = readTileMeta(spec, tile.meta);
  const rowOf = (i: number): number => (kind === 'k' ? i % headDim : Math.floor(i / headDim));
  const factorOf = (i: number): number => a?.values[Math.floor(i / headDim)] ?? 1;
  const lo = new Float64Array(s.values.length).fill(Infinity);
  const hi = new Float64Array(s.values.length).fill(-Infinity);
  x.forEach((value, i) => {
    lo[rowOf(i)] = Math.min(lo[rowOf(i)], value / factorOf(i));
    hi[rowOf(i)] = Math.max(hi[rowOf(i)], value / factorOf(i));
  });
  const ofMetadata = (bits <= 3 ? 0.5 : 1) * (z.step + s.step * (2 ** bits - 1));
  openTile(spec, tile).forEach((decoded, i) => {
    const row = rowOf(i);
    const rounding = 2 ** -20 * (Math.abs(lo[row]) + Math.abs(hi[row]) + Math.abs(z.values[row]));
    const bound = factorOf(i) * (mostRanges * (hi[row] - lo[row]) + ofMetadata + rounding);
    const error = Math.abs(decoded - x[i]);
    if (!(error <= bound)) assert.fail(`${JSON.stringify(spec)}: |${decoded} - ${x[i]}| > ${bound} at ${i}`);
  });
}

for (const [name, fill] of Object.entries(TILE_FILLS)) {
  test(`${name}: 3, 2 and 1 bits come back within 3.5 ranges of their row and the rounding of metadata`, () => {
    for (const kind of KINDS) {
      for (const bits of SPREAD_BITS) {
        for (const [numTokens, headDim] of [
          [32, 16],
          [64, 64],
          [64, 80],
          [128, 96],
        ]) {
          const spec: TileSpec = { kind, bits, numTokens, headDim };
          assertWithinRanges(spec, tileData(spec, fill), 3.5);
        }
      }
    }
  });

  test(`${name}: with errors fed to other channels keys come back within a range of theirs, within 3.5 up to 3 bits`, () => {
    for (const bits of CODE_BITS) {
      for (const headDim of [16, 80]) {
        // Entries of 3 move targets far beyond what codes reach.
        for (const size of [0.5, 3 * Math.sqrt(headDim)]) {
          const spec: TileSpec = { kind: 'k', bits, numTokens: 64, headDim };
          assertWithinRanges(spec, tileData(spec, fill), bits <= 3 ? 3.5 : 1, randomFeedback(headDim, size));
        }
      }
    }
  });
}

interface Energies {
  /** Sum of squared errors over that of the values. */
  readonly error: number;
  /** Sum of errors times values, over the values' squares. */
  readonly correlation: number;
  /** Sum of squares of what comes back, over that of the values. */
  readonly decoded: number;
}

function energiesOf(spec: TileSpec, feedback?: Float32Array): Energies {
  const x = tileData(spec, TILE_FILLS.Gaussian, 7);
  const decoded = openTile(spec, sealTile(spec, x, feedback));
  const sum = (of: (value: number, back: number) => number): number =>
    x.reduce((total, value, i) => total + of(value, decoded[i]), 0);
  const energy = sum((value) => value ** 2);
  return {
    error: sum((value, back) => (value - back) ** 2) / energy,
    correlation: sum((value, back) => (back - value) * value) / energy,
    decoded: sum((_, back) => back ** 2) / energy,
  };
}

const gaussianSpec = (kind: TileSpec['kind'], bits: CodeBits): TileSpec => ({ kind, bits, numTokens: 64, headDim: 64 });

/** A little above what is measured: a bit is worth a factor of four, and less among the last ones. */
const MOST_ERROR: Readonly<Record<CodeBits, { readonly k: number; readonly v: number }>> = {
  8: { k: 2.9e-5, v: 3e-5 },
  6: { k: 4.6e-4, v: 4.9e-4 },
  5: { k: 1.9e-3, v: 2e-3 },
  4: { k: 8e-3, v: 8.5e-3 },
  3: { k: 0.035, v: 0.033 },
  2: { k: 0.14, v: 0.137 },
  1: { k: 0.41, v: 0.59 },
};

test('Gaussian tiles of 64 x 64: mean squared errors from 3e-5 (8 bits) over 8.5e-3 (4) to .14 (2) and .59 (1) of the variance', () => {
  for (const kind of KINDS) {
    for (const bits of CODE_BITS) {
      const { error } = energiesOf(gaussianSpec(kind, bits));
      assert.ok(error < MOST_ERROR[bits][kind], `${kind}, ${bits} bits: ${error}`);
    }
  }
});

test('few codes of values make errors that do not correlate with them (2e-3 of the variance), of keys keep the variance (2%)', () => {
  for (const bits of SPREAD_BITS) {
    const { correlation } = energiesOf(gaussianSpec('v', bits));
    assert.ok(Math.abs(correlation) < 2e-3, `values, ${bits} bits: ${correlation}`);
    const { decoded } = energiesOf(gaussianSpec('k', bits));
    assert.ok(Math.abs(decoded - 1) < 0.02, `keys, ${bits} bits: ${decoded}`);
  }
});

test('keys of 3 and 2 bits make errors that do not correlate with them where channels take errors of others; 1 bit takes none', () => {
  const feedback = randomFeedback(64, 0.5);
  for (const bits of [3, 2] as const) {
    const { correlation } = energiesOf(gaussianSpec('k', bits), feedback);
    assert.ok(Math.abs(correlation) < 2e-3, `${bits} bits: ${correlation}`);
  }
  const spec = gaussianSpec('k', 1);
  const x = tileData(spec, TILE_FILLS.Gaussian);
  assert.deepEqual(sealTile(spec, x, feedback), sealTile(spec, x));
});

test('values take no errors of other channels', () => {
  const spec = gaussianSpec('v', 4);
  const x = tileData(spec, TILE_FILLS.Gaussian);
  assert.deepEqual(sealTile(spec, x, randomFeedback(64, 0.5)), sealTile(spec, x));
});
