import { normalStream } from '../../../test/random-data.ts';

const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;

/** Numbers that any quantization must take, by name: element i of a tensor, of which channels are the last axis. */
export const TENSOR_DATA: Readonly<Record<string, (i: number, channel: number, normal: () => number) => number>> = {
  Gaussian: (_i, _channel, normal) => normal(),
  'outlier channels (x40)': (_i, channel, normal) => normal() * (channel % 13 === 5 ? 40 : 1),
  'far from zero': (_i, channel, normal) => 1000 * (channel % 5) + normal() / 100,
  'so far that steps are below the spacing of float32': (i) => 16_777_216 + 2 * (i % 3),
  zeros: () => 0,
  'zeros of both signs': (i) => (i % 3 === 0 ? -0 : 0),
  constant: () => 3.14,
  'constant below zero': () => -1e-3,
  'one that is not zero': (i) => (i === 7 ? -2.5 : 0),
  denormals: (_i, _channel, normal) => Math.round(300 * normal()) * 2 ** -149,
  'around the least normal number': (_i, _channel, normal) => normal() * 2 ** -126,
  tiny: (_i, _channel, normal) => normal() * 1e-30,
  huge: (_i, _channel, normal) => Math.min(Math.max(normal() * 2e38, -FLOAT32_MAX), FLOAT32_MAX),
  'the largest numbers': (i) => (i % 3 === 0 ? -FLOAT32_MAX : FLOAT32_MAX * (1 - 2 ** -(i % 24))),
  'of all sizes': (i, _channel, normal) => normal() * 10 ** ((i % 70) - 38),
};

/** Float32 numbers for a tensor of that shape, always the same. */
export function tensorData(name: string, shape: readonly number[], seed = 1): Float32Array {
  const normal = normalStream(seed);
  const size = shape.reduce((product, length) => product * length, 1);
  const numChannels = shape.at(-1) ?? 1;
  return Float32Array.from({ length: size }, (_, i) => TENSOR_DATA[name](i, i % numChannels, normal));
}
