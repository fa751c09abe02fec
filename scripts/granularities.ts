/**
 * Prints what granularities of quantization lose on random data, beside FP8 and NVFP4, as the Markdown table of
 * docs/decisions/0005-granularities.md. `npx node scripts/granularities.ts`
 */
import { FLOAT_FORMATS, granularitiesAt, rmsError, tilesAt } from '../src/eval/granularity-errors.ts';
import { normalStream } from '../test/random-data.ts';

const NUM_TOKENS = 1024;
const NUM_CHANNELS = 128;
const SHAPE = [NUM_TOKENS, NUM_CHANNELS];

const isOutlier = (channel: number): boolean => channel % 20 === 7;
const offset = (channel: number): number => (channel % 8 === 3 ? 10 : 0);

const gaussian = tensor((_, normal) => normal);
const outliers = tensor((channel, normal) => normal * (isOutlier(channel) ? 20 : 1));
const bias = tensor((channel, normal) => normal + offset(channel));

process.stdout.write(
  '| format | bits of a code | bits an element | Gaussian | outlier channels: ordinary ones | all | channel bias |\n' +
    '|---|---|---|---|---|---|---|\n',
);
const FEW_BITS = granularitiesAt(2).filter(({ name }) =>
  ['per channel', 'per token', 'groups of 32 channels'].includes(name),
);
const FORMATS = [
  ...[...granularitiesAt(8), FLOAT_FORMATS[0]],
  ...[...tilesAt(6), ...tilesAt(5)],
  ...[...granularitiesAt(4), FLOAT_FORMATS[1]],
  ...[...tilesAt(3), ...FEW_BITS, ...tilesAt(2), ...tilesAt(1)],
];
for (const format of FORMATS) {
  const { values, bitsPerElement } = format.store(gaussian);
  const ofOutliers = format.store(outliers).values;
  const errors = [
    rmsError(gaussian, values),
    rmsError(outliers, ofOutliers, (channel) => !isOutlier(channel)),
    rmsError(outliers, ofOutliers),
    rmsError(bias, format.store(bias).values),
  ].map((error) => error.toFixed(4).replace(/^0/, ''));
  process.stdout.write(`| ${[format.name, format.bits, bitsPerElement.toFixed(2), ...errors].join(' | ')} |\n`);
}

function tensor(fill: (channel: number, normal: number) => number): { data: Float32Array; shape: number[] } {
  const normal = normalStream(5);
  const data = Float32Array.from({ length: NUM_TOKENS * NUM_CHANNELS }, (_, i) => fill(i % NUM_CHANNELS, normal()));
  return { data, shape: SHAPE };
}
