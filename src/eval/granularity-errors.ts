import type { CodeBits } from '../quant/bit-planes.ts';
import type { GroupOptions } from '../quant/granularity.ts';
import { roundToNvfp4 } from '../quant/float4.ts';
import { roundToFloat8 } from '../quant/float8.ts';
import { dequantize, quantize } from '../quant/quantize.ts';
import type { Tensor } from '../quant/tensor.ts';

/** A way to store a tensor [tokens, channels] in fewer bits. */
export interface StorageFormat {
  readonly name: string;
  /** Of a code. */
  readonly bits: number;
  readonly store: (tensor: Tensor) => StoredTensor;
}

export interface StoredTensor {
  readonly values: Float32Array;
  /** Scales and zero points of groups counted as 16 bits each, as caches store them; everything else as it is. */
  readonly bitsPerElement: number;
}

const GROUPS: readonly (readonly [string, Omit<GroupOptions, 'bits'>])[] = [
  ['per tensor', { granularity: 'tensor' }],
  ['per channel', { granularity: 'channel' }],
  ['per token', { granularity: 'token' }],
  ['groups of 64 channels', { granularity: 'group64' }],
  ['groups of 32 channels', { granularity: 'group32' }],
  ['groups of 32 channels, symmetric', { groupSize: 32, symmetric: true }],
  ['groups of 32 tokens of a channel', { groupSize: 32, axis: 0 }],
];

/** All granularities at codes of that many bits. */
export function granularitiesAt(bits: CodeBits): StorageFormat[] {
  const groups = GROUPS.map(([name, options]): StorageFormat => {
    return { name, bits, store: (tensor) => storeGroups(tensor, { bits, ...options }) };
  });
  return [...groups, ...tilesAt(bits)];
}

/** The tiles of the cache at codes of that many bits: keys, then values. */
export function tilesAt(bits: CodeBits): StorageFormat[] {
  return (['k', 'v'] as const).map((kind): StorageFormat => {
    const store: StorageFormat['store'] = (tensor) => {
      const quantized = quantize(tensor, { bits, granularity: 'tile', kind });
      return { values: dequantize(quantized).data, bitsPerElement: quantized.bitsPerElement };
    };
    return { name: kind === 'k' ? 'tile of keys' : 'tile of values', bits, store };
  });
}

/** Floating-point formats of others. */
export const FLOAT_FORMATS: readonly StorageFormat[] = [
  { name: 'FP8 E4M3, a scale per tensor', bits: 8, store: ({ data }) => roundToFloat8(data, 'tensor') },
  { name: 'E2M1 in blocks of 16 (NVFP4)', bits: 4, store: ({ data, shape }) => roundToNvfp4(data, shape[1]) },
];

/** Root of the mean squared difference over the channels that `counts` chooses. */
export function rmsError(
  { data, shape }: Tensor,
  values: Float32Array,
  counts: (channel: number) => boolean = () => true,
): number {
  let [sum, count] = [0, 0];
  data.forEach((value, i) => {
    if (!counts(i % shape[1])) return;
    sum += (value - values[i]) ** 2;
    count++;
  });
  return Math.sqrt(sum / count);
}

function storeGroups(tensor: Tensor, options: GroupOptions): StoredTensor {
  const quantized = quantize(tensor, options);
  const numMetadata = quantized.scales.length + quantized.zeroPoints.length;
  const bitsPerElement = quantized.bitsPerElement - (16 * numMetadata) / tensor.data.length;
  return { values: dequantize(quantized).data, bitsPerElement };
}
