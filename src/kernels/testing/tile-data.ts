import { normalStream, uniformStream } from '../../../test/random-data.ts';
import type { PageLayout } from '../../cache/page-layout.ts';
import { f16BitsClamped, f16Value } from '../../quant/f16.ts';
import { Pages } from '../reference/pages.ts';

/** Gives the value of a token's channel; called once a tile, tokens and channels in order. */
type TileFill = (normal: () => number) => (token: number, channel: number) => number;

/** Keys and values that pages must take, by name. */
export const TILE_DATA: Readonly<Record<string, TileFill>> = {
  Gaussian: (normal) => () => normal(),
  // What rotation is made for.
  outlier: (normal) => (_, channel) => normal() * (channel % 16 === 3 ? 40 : 1),
  // Keys of many models have a mean per channel that is far larger than what varies.
  biased: (normal) => {
    const means = Array.from({ length: 256 }, () => 20 * normal());
    return (_, channel) => means[channel] + normal();
  },
  zero: () => () => 0,
  constant: () => () => 1.5,
  denormal: (normal) => () => normal() * 1e-5,
  huge: (normal) => () => Math.sign(normal()) * 65504,
  // A token far smaller than the others, one of zeros, one of negative zeros.
  uneven: (normal) => (token) => normal() * ([1e-3, 0, -0][token % 9] ?? 1),
};

/** [numTokens, headDim] values of a tile, each a half. */
export function tileValues(data: string, numTokens: number, headDim: number, seed: number): Float32Array {
  const valueAt = TILE_DATA[data](normalStream(seed));
  return new Float32Array(numTokens * headDim).map((_, i) =>
    f16Value(f16BitsClamped(valueAt(Math.floor(i / headDim), i % headDim))),
  );
}

/**
 * A page with all its tiles written by the reference: the oracle of every implementation's bytes.
 *
 * @param feedback of K's tiles, [numKvHeads, headDim, headDim] for a page of one layer
 */
export function pageOfData(layout: PageLayout, data: string, seed: number, feedback?: Float32Array): Uint8Array {
  const pages = new Pages(layout, 1);
  const { numTokens, shape } = layout;
  for (let layer = 0; layer < shape.numLayers; layer++) {
    for (let head = 0; head < shape.numKvHeads; head++) {
      for (const kind of ['k', 'v'] as const) {
        const tileSeed = seed * 1000 + layer * 100 + head * 10 + (kind === 'k' ? 1 : 2);
        const values = tileValues(data, numTokens, shape.headDim, tileSeed);
        const size = shape.headDim ** 2;
        const ofHead = kind === 'k' ? feedback?.subarray(head * size, (head + 1) * size) : undefined;
        pages.writeTile({ page: 0, layer, head, kind }, values, ofHead);
      }
    }
  }
  return pages.pageBytes(0).slice();
}

/** Rows of queries whose scores differ by a few units where keys have unit variance. */
export function queryRows(numRows: number, numHeads: number, headDim: number, seed: number): Float32Array[] {
  const normal = normalStream(seed);
  const uniform = uniformStream(seed + 1);
  return Array.from({ length: numRows }, () => {
    const row = new Float32Array(numHeads * headDim);
    for (let head = 0; head < numHeads; head++) {
      const sharpness = 0.3 + 2 * uniform();
      const values = Array.from({ length: headDim }, () => (sharpness * normal()) / Math.sqrt(headDim));
      row.set(values, head * headDim);
    }
    return row;
  });
}
