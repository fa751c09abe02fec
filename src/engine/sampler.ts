import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import { KvantError } from '../errors.ts';
import type { LargestValues } from '../kernels/kernels.ts';
import { argmax, heaviestCandidates } from './candidates.ts';
import type { ResolvedSampling } from './defaults.ts';
import { adjustLogits } from './logit-adjustments.ts';

/**
 * Chooses the next token from its logits. First they are changed (see `adjustLogits`):
 *
 * 1. logit biases, frequency and presence penalty, as in OpenAI's API
 * 2. repetition penalty (CTRL, arXiv 1909.05858)
 *
 * Then the filters run in llama.cpp's order:
 *
 * 3. top-k: the k likeliest tokens stay
 * 4. top-p (arXiv 1904.09751): the likeliest tokens stay whose probabilities, after 3, first add up to p
 * 5. min-p (arXiv 2407.01082): tokens at least `minP` times as likely as the likeliest stay
 * 6. temperature: the logits that are left are divided by it, and one token is drawn; at 0 the likeliest is taken after
 * 2
 *
 * Of equal logits the lower id counts as the likelier. The draw depends on the seed and the position alone, so that
 * what runs beside a sequence, and what it was like before it was continued, do not matter.
 *
 * @param logits [vocabulary]; not changed. Minus infinity is never chosen
 * @param tokens what the sequence has so far, for the penalties
 * @param position of the token that is drawn
 * @param numPromptTokens tokens before the answer, which frequency and presence penalty do not count
 * @throws KvantError ENGINE_FAILED if the logits are not numbers
 */
export function sampleToken(
  logits: Float32Array,
  tokens: readonly number[],
  position: number,
  options: ResolvedSampling,
  numPromptTokens: number,
): number {
  const adjusted = adjustLogits(logits, tokens, numPromptTokens, options);
  const likeliest = argmax(adjusted);
  if (likeliest === undefined || adjusted[likeliest] === Infinity) throw notNumbers(position);
  if (options.temperature === 0) return likeliest;
  const max = adjusted[likeliest];
  const candidates = heaviestCandidates(adjusted, max, options);
  return draw(adjusted, max, candidates, options.temperature, uniform(options.seed, position));
}

/**
 * The same of the largest logits only: where nothing is added to any and the temperature is 0, or top-k keeps no more of them.
 *
 * @param largest in order; at least `topK`, or all
 * @throws KvantError ENGINE_FAILED if they are not numbers
 */
export function sampleLargest({ indices, values }: LargestValues, position: number, options: ResolvedSampling): number {
  if (Number.isNaN(values[0]) || Math.abs(values[0]) === Infinity) throw notNumbers(position);
  if (options.temperature === 0) return indices[0];
  const { temperature, topK, topP, minP, seed } = options;
  const kept = values.subarray(0, topK);
  const candidates = heaviestCandidates(kept, values[0], { topK: 0, topP, minP });
  return indices[draw(kept, values[0], candidates, temperature, uniform(seed, position))];
}

function notNumbers(position: number): KvantError {
  const message = `the logits of position ${position - 1} are not numbers: the model file may be damaged`;
  return new KvantError('ENGINE_FAILED', message);
}

/** Draws by inversion: the first candidate at which the sum of probabilities exceeds `random` of their total. */
function draw(logits: Float32Array, max: number, candidates: Uint32Array, temperature: number, random: number): number {
  const weights = new Float64Array(candidates.length);
  let total = 0;
  for (let i = 0; i < candidates.length; i++) {
    weights[i] = Math.exp((logits[candidates[i]] - max) / temperature);
    total += weights[i];
  }
  let left = random * total;
  let last = 0;
  for (let i = 0; i < candidates.length; i++) {
    if (weights[i] === 0) continue;
    last = i;
    left -= weights[i];
    if (left < 0) break;
  }
  return candidates[last];
}

/**
 * A number in [0, 1) that depends on seed and position alone. They are hashed before they become the generator's state,
 * since the generator is linear: states that differ in few bits would give correlated numbers for good.
 */
function uniform(seed: number, position: number): number {
  const state = [mix(seed)];
  for (const value of [position, 1, 2]) state.push(mix(state[state.length - 1] ^ value));
  return uniformFloat64(xoroshiro128plusFromState(state));
}

/** MurmurHash3's 32-bit finalizer, over a step of the golden ratio so that 0 is not mapped to 0. */
function mix(value: number): number {
  let hash = (value + 0x9e3779b9) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
