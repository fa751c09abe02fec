import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import type { Tensor } from '../quant/tensor.ts';
import { FLOAT_FORMATS, granularitiesAt, rmsError } from './granularity-errors.ts';

const NUM_CHANNELS = 64;
const isOutlier = (channel: number): boolean => channel % 20 === 7;

function tensor(outlierFactor: number): Tensor {
  const normal = normalStream(1);
  const data = Float32Array.from(
    { length: 256 * NUM_CHANNELS },
    (_, i) => normal() * (isOutlier(i % NUM_CHANNELS) ? outlierFactor : 1),
  );
  return { data, shape: [256, NUM_CHANNELS] };
}

/** Root mean squared error in ordinary channels, by name. */
function errors(bits: 8 | 4, stored: Tensor): Record<string, number> {
  return Object.fromEntries(
    [...granularitiesAt(bits), ...FLOAT_FORMATS].map(({ name, store }) => [
      name,
      rmsError(stored, store(stored).values, (channel) => !isOutlier(channel)),
    ]),
  );
}

test('RMS error is the root of the mean squared difference, of the channels that count', () => {
  const stored = { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] };
  const values = Float32Array.of(1, 4, 3, 0);
  assert.equal(rmsError(stored, values), Math.sqrt((4 + 16) / 4));
  assert.equal(
    rmsError(stored, values, (channel) => channel === 0),
    0,
  );
  assert.equal(
    rmsError(stored, values, (channel) => channel === 1),
    Math.sqrt(10),
  );
});

test('bits an element: 16 a scale and a zero point, padding and metadata of tiles counted', () => {
  const stored = tensor(1);
  const bits = Object.fromEntries(
    [...granularitiesAt(4), ...FLOAT_FORMATS].map(({ name, store }) => [name, store(stored).bitsPerElement]),
  );
  const numElements = 256 * NUM_CHANNELS;
  assert.equal(bits['per tensor'], 4 + 32 / numElements);
  assert.equal(bits['per channel'], 4 + 32 / 256);
  assert.equal(bits['per token'], 4.5);
  assert.equal(bits['groups of 32 channels'], 5);
  assert.equal(bits['groups of 32 channels, symmetric'], 4.5);
  assert.equal(bits['groups of 32 tokens of a channel'], 5);
  assert.equal(bits['FP8 E4M3, a scale per tensor'], 8 + 32 / numElements);
  assert.equal(bits['E2M1 in blocks of 16 (NVFP4)'], 4.5 + 32 / numElements);
});

test('Gaussian data: 4 bits lose 15 to 19 times as much as 8, and smaller groups less than larger ones', () => {
  const [eight, four] = [errors(8, tensor(1)), errors(4, tensor(1))];
  for (const { name } of granularitiesAt(4)) {
    const ratio = four[name] / eight[name];
    assert.ok(ratio > 15 && ratio < 19, `${name}: ${ratio}`);
  }
  assert.ok(four['groups of 32 channels'] < four['groups of 64 channels']);
  assert.ok(four['groups of 64 channels'] < four['per channel']);
  assert.ok(four['per channel'] < four['per tensor']);
});

test('outlier channels: a tile of keys keeps ordinary channels within 1.2 of what Gaussian data lose, groups of 32 do not within 5', () => {
  const [plain, outliers] = [errors(4, tensor(1)), errors(4, tensor(20))];
  const ratio = (name: string): number => outliers[name] / plain[name];
  assert.ok(ratio('tile of keys') < 1.2);
  assert.ok(ratio('groups of 32 channels') > 5);
  assert.ok(ratio('per token') > 5);
  assert.ok(outliers['tile of keys'] < outliers['E2M1 in blocks of 16 (NVFP4)'] / 3);
});
