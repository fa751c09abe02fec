import type { KvCheck, KvLayerCheck } from '../engine/types.ts';
import { formatFixed, formatNumber } from './format.ts';

/** From here on, an outlier or a bias is worth a word. Heads of Gaussian keys have less than 2, those of usual models 3 to 5, and biases of twice that. */
const REMARKABLE_SPREAD = 8;

/**
 * What `--check-kv` has to say, a line each: a warning for every layer that loses too much, what was raised, and the sum of it.
 *
 * @param kvFormat the format that runs
 */
export function kvCheckLines(check: KvCheck, kvFormat: string): string[] {
  if (check.skipped !== undefined) return [`--check-kv has measured nothing: ${check.skipped}`];
  const raised = check.raised.map((before) => raisedLine(before, check));
  const warnings = check.layers.filter(({ suffers }) => suffers.length > 0).map((layer) => warningLine(layer, check));
  return [...raised, ...warnings, sumLine(check, kvFormat, warnings.length)];
}

function raisedLine(before: KvLayerCheck, { layers }: KvCheck): string {
  const after = layers[before.layer];
  return (
    `layer ${before.layer} has ${bitsOf(after)} instead of ${bitsOf(before)}: ` +
    `attention's KL divergence ${figure(after.attentionKld)} instead of ${figure(before.attentionKld)}, ` +
    `error of values ${percent(after.valueError)} instead of ${percent(before.valueError)}${causeOf(before)}`
  );
}

function warningLine(layer: KvLayerCheck, { limits }: KvCheck): string {
  const losses = layer.suffers.map((kind) => {
    return kind === 'k'
      ? `attention's KL divergence is ${figure(layer.attentionKld)} (at most ${figure(limits.attentionKld)})`
      : `values err by ${percent(layer.valueError)} (at most ${percent(limits.valueError)})`;
  });
  return `warning: layer ${layer.layer} suffers in ${bitsOf(layer)}: ${losses.join(', ')}${causeOf(layer)}`;
}

/** What is known to make keys hard to quantize. */
function causeOf({ suffers, keyOutlier, keyBias }: KvLayerCheck): string {
  if (!suffers.includes('k')) return '';
  const causes: string[] = [];
  if (keyOutlier >= REMARKABLE_SPREAD)
    causes.push(`an outlier channel, ${figure(keyOutlier)} times as wide as the median`);
  if (keyBias >= REMARKABLE_SPREAD) causes.push(`a bias, ${figure(keyBias)} deviations of the median channel`);
  return causes.length === 0 ? '' : `; its keys have ${causes.join(' and ')}`;
}

function sumLine(check: KvCheck, kvFormat: string, numSuffering: number): string {
  const { layers, raised, suggestedKv, estimatedKld, numTokens, numTextTokens } = check;
  const output = `the output's KL divergence to f16 is about ${figure(estimatedKld)}`;
  const drawn = numTokens - numTextTokens;
  const text = drawn === 0 ? '' : `; ${drawn} of ${numTokens} tokens were drawn from the vocabulary`;
  if (numSuffering > 0) {
    const remedy = check.mode === 'warn' && suggestedKv !== 'f16' ? ', or --check-kv raise' : '';
    const what = `${numSuffering} of ${layers.length} layers suffer in ${kvFormat}, ${output}`;
    return `--check-kv: ${what}: use --kv ${suggestedKv}${remedy}${text}`;
  }
  if (raised.length > 0) {
    const bits = `${formatFixed(check.bitsPerElement, 2)} bits an element instead of ${formatFixed(check.bitsPerElementBefore, 2)}`;
    return `--check-kv: ${raised.length} of ${layers.length} layers ${raised.length === 1 ? 'was' : 'were'} raised: ${bits}, ${output}${text}`;
  }
  const worst = Math.max(...layers.map(({ attentionKld }) => attentionKld));
  return `--check-kv: no layer suffers in ${kvFormat}: attention's KL divergence is at most ${figure(worst)}, ${output}${text}`;
}

function bitsOf({ kBits, vBits }: KvLayerCheck): string {
  return `k${kBits}v${vBits}`;
}

/** Two digits that count, which is as much as a short text gives. */
function figure(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(2))) : String(value);
}

function percent(share: number): string {
  return `${formatNumber(100 * share, 1)}%`;
}
