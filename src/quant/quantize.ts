import { parseGroupOptions } from './granularity.ts';
import type { GroupOptions, QuantizeOptions, TileOptions } from './granularity.ts';
import { dequantizeGroups, quantizeGroups } from './grouped-tensor.ts';
import type { GroupedTensor } from './grouped-tensor.ts';
import { checkTensor, invalidInput } from './tensor.ts';
import type { Tensor, TensorInput } from './tensor.ts';
import { dequantizeTiles, quantizeTiles } from './tiled-tensor.ts';
import type { TiledTensor } from './tiled-tensor.ts';

/** What `quantize` returns and `dequantize` takes. */
export type QuantizedTensor = GroupedTensor | TiledTensor;

/**
 * Quantizes a tensor to codes of 8 to 1 bits, rounding to the nearest level. Levels are evenly spaced, and each group of
 * elements has its own:
 *
 * - asymmetric: `zeroPoint + scale * q`, q = 0 .. 2^bits - 1, with the least value of the group as zero point and
 *   scale = (greatest - least) / (2^bits - 1);
 * - symmetric: `scale * q`, q = -m .. m, m = 2^(bits - 1) - 1, with scale = (greatest magnitude) / m, so that 0 stays 0;
 *   of 1 bit: `-scale / 2` and `scale / 2`, with scale = 2 * (greatest magnitude).
 *
 * Scales are rounded up to float32 and never go beyond its largest number. With x an element and s the scale of its
 * group, for any finite tensor,
 *
 *     |x - dequantize(quantize(x))| <= s / 2 + 2^-23 * (|x| + s)
 *
 * whose last term is what rounding to float32 costs. Exact are constant groups (asymmetric) and zeros (symmetric, from 2
 * bits on; all zeros always). Quantizing the result again with the same options gives the same codes where the scale of
 * a group is 0, or at least 2^-126 and at least 2^-20 of its greatest magnitude; smaller scales are so close to the
 * spacing of float32 itself that codes can change.
 *
 * With `granularity: 'tile'`, values are rounded to f16 and sealed as docs/page-format.md says. Of what f16 makes of x they
 * are then, from 4 bits on, within half a step, which is `s` of its token (values) or `a * s` of its token and channel (keys),
 * and 2^-20 of |x| and of the zero point for float32. Codes of 3, 2 and 1 bits are chosen for the least loss in all, which costs
 * single values more: they are within 3.5 times the range of their token (values) or, each token divided by its `a`, of their
 * channel in the page (keys; then times `a`), beside half a step of the bytes that hold `z` and, for each code, `s`.
 *
 * @param tensor finite values of any shape; data may be empty, axes may be 0 or 1 long
 * @throws KvantError INVALID_INPUT for NaN, infinity and what is beyond float32 (for tiles: beyond 65504), naming index
 *   and value, and for data that have not the length of the shape
 * @throws KvantError INVALID_OPTION for an unknown option or a value that it cannot have
 */
export function quantize(tensor: TensorInput, options: GroupOptions): GroupedTensor;
export function quantize(tensor: TensorInput, options: TileOptions): TiledTensor;
export function quantize(tensor: TensorInput, options: QuantizeOptions): QuantizedTensor;
export function quantize(tensor: TensorInput, options: QuantizeOptions): QuantizedTensor {
  const checked = checkTensor(tensor);
  if (options?.granularity === 'tile') return quantizeTiles(checked, options);
  return quantizeGroups(checked, parseGroupOptions(options, checked.shape.length));
}

/**
 * The values that the codes of a quantized tensor stand for, in its shape, rounded to float32.
 *
 * @throws KvantError INVALID_INPUT if its fields do not fit each other: lengths, widths, scales that are not finite
 */
export function dequantize(quantized: QuantizedTensor): Tensor {
  switch (quantized?.granularity) {
    case 'groups':
      return dequantizeGroups(quantized);
    case 'tile':
      return dequantizeTiles(quantized);
    default:
      throw invalidInput('dequantize takes what quantize has returned');
  }
}
