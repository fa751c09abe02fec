import { normalStream } from '../../../test/random-data.ts';
import { f16BitsClamped, f16Value } from '../f16.ts';
import type { TileSpec } from '../tile-spec.ts';

/** Gives the value of a token's channel; called once an element, tokens and channels in order. */
export type TileFill = (token: number, channel: number, normal: () => number) => number;

/** Values that tiles must take, by name. */
export const TILE_FILLS: Readonly<Record<string, TileFill>> = {
  Gaussian: (_t, _c, normal) => normal(),
  'outlier channels (x40)': (_t, c, normal) => normal() * (c % 13 === 5 ? 40 : 1),
  'key bias': (_t, c, normal) => normal() + (c % 7 === 3 ? 25 : -0.5 * (c % 3)),
  'tokens of unlike size, one zero': (t, _c, normal) => (t === 9 ? 0 : normal() * 10 ** -(t % 4)),
  'one value far from all others': (t, c, normal) => (t === 3 && c % 4 === 1 ? 1000 : normal()),
  zeros: () => 0,
  'minus zeros among zeros': (t, c) => ((t + c) % 3 === 0 ? -0 : 0),
  constant: () => 3.14,
  'constant channels': (_t, c) => c - 7.5,
  'constant tokens': (t) => t - 7.5,
  denormals: (_t, _c, normal) => normal() * 2 ** -21,
  'huge values': (t, c, normal) => ((t + c) % 5 === 0 ? Math.sign(normal()) * 65504 : normal()),
  'all huge': (_t, _c, normal) => normal() * 1e6,
};

/** [numTokens, headDim] f16 values, as an open page holds them. */
export function tileData({ numTokens, headDim }: TileSpec, fill: TileFill, seed = 1): Float32Array {
  const normal = normalStream(seed);
  return new Float32Array(numTokens * headDim).map((_, i) =>
    f16Value(f16BitsClamped(fill(Math.floor(i / headDim), i % headDim, normal))),
  );
}
