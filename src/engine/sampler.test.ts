import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import { argmax, heaviestCandidates } from './candidates.ts';
import { SAMPLING_DEFAULTS, type ResolvedSampling } from './defaults.ts';
import { sampleLargest, sampleToken } from './sampler.ts';

const GREEDY: ResolvedSampling = { ...SAMPLING_DEFAULTS, seed: 0 };

/** Gaussian logits (Box-Muller), with some equal ones where `levels` rounds them. */
function gaussianLogits(length: number, seed: number, scale = 3, levels?: number): Float32Array {
  const rng = xoroshiro128plus(seed);
  return Float32Array.from({ length }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniformFloat64(rng)));
    const value = scale * radius * Math.cos(2 * Math.PI * uniformFloat64(rng));
    return levels === undefined ? value : Math.round(value * levels) / levels;
  });
}

/** The definition, with a full sort and nothing saved. */
function candidatesByDefinition(logits: Float32Array, topK: number, topP: number, minP: number): number[] {
  let ids = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
  if (topK > 0) ids = ids.slice(0, topK);
  const weights = ids.map((id) => Math.exp(logits[id] - logits[ids[0]]));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let sum = 0;
  const last = weights.findIndex((weight) => (sum += weight) >= topP * total);
  const numKept = topP < 1 ? last + 1 : ids.length;
  return ids.slice(0, numKept).filter((_, i) => weights[i] >= minP);
}

test('candidates are those of the definition with a full sort, for 80 mixes of filters', () => {
  const allLogits = [gaussianLogits(1000, 1), gaussianLogits(1000, 2, 0.1), gaussianLogits(777, 3, 8, 2)];
  for (const logits of allLogits) {
    const max = logits[argmax(logits) as number];
    for (const topK of [0, 1, 2, 40, 5000]) {
      for (const topP of [1, 0.999, 0.9, 0.3]) {
        for (const minP of [0, 0.01, 0.5]) {
          const ids = heaviestCandidates(logits, max, { topK, topP, minP });
          const expected = candidatesByDefinition(logits, topK, topP, minP);
          const isFiltered = topP < 1 || minP > 0 || (topK > 0 && topK < logits.length);
          const found = isFiltered ? [...ids] : [...ids].sort((a, b) => logits[b] - logits[a] || a - b);
          assert.deepEqual(found, expected, `topK ${topK}, topP ${topP}, minP ${minP}`);
        }
      }
    }
  }
});

test('greedy takes the largest logit, the lowest id of equal ones', () => {
  assert.equal(sampleToken(Float32Array.of(1, 5, 5, -2), [], 0, GREEDY, 0), 1);
  assert.equal(sampleToken(Float32Array.of(-3, -Infinity, -2), [], 0, GREEDY, 0), 2);
  assert.equal(sampleToken(Float32Array.of(-1e30, -3.4e38), [], 0, GREEDY, 0), 0);
  const logits = gaussianLogits(50_000, 4);
  assert.equal(logits[sampleToken(logits, [], 0, GREEDY, 0)], Math.max(...logits));
});

test('the repetition penalty lowers seen tokens once, whatever their sign, and leaves the logits alone', () => {
  const logits = Float32Array.of(3, 2, -1, -1.2);
  const penalized = { ...GREEDY, repetitionPenalty: 2 };
  assert.equal(sampleToken(logits, [], 0, penalized, 0), 0);
  assert.equal(sampleToken(logits, [0], 1, penalized, 0), 1);
  assert.equal(sampleToken(logits, [0, 0, 0, 1], 4, penalized, 0), 0); // 1.5 against 1: seen thrice, divided once
  assert.equal(sampleToken(Float32Array.of(-1, -1.5), [0], 1, penalized, 0), 1);
  assert.deepEqual(logits, Float32Array.of(3, 2, -1, -1.2));
});

test('a draw follows the softmax at its temperature (chi-square over 20,000 positions below the 0.999 quantile)', () => {
  const CHI_SQUARE_7_DOF = 24.32;
  const NUM_DRAWS = 20_000;
  const logits = Float32Array.of(0, 1, -1, 0.5, 2, -2, 0.25, 1.5);
  for (const temperature of [0.5, 1, 2]) {
    for (const seed of [0, 1, 0xffffffff]) {
      const weights = [...logits].map((logit) => Math.exp(logit / temperature));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const counts = new Array<number>(8).fill(0);
      for (let position = 0; position < NUM_DRAWS; position++) {
        counts[sampleToken(logits, [], position, { ...GREEDY, temperature, seed }, 0)]++;
      }
      const chiSquare = counts.reduce((sum, count, i) => {
        const expected = (NUM_DRAWS * weights[i]) / total;
        return sum + (count - expected) ** 2 / expected;
      }, 0);
      assert.ok(chiSquare < CHI_SQUARE_7_DOF, `chi-square ${chiSquare} at temperature ${temperature}, seed ${seed}`);
    }
  }
});

test('draws at neighbouring positions, and of neighbouring seeds, are not correlated (|r| < 0.03)', () => {
  const NUM_DRAWS = 10_000;
  // One of 1,000 equal tokens: the id is the random number itself.
  const logits = new Float32Array(1000);
  const at = (position: number, seed: number) =>
    sampleToken(logits, [], position, { ...GREEDY, temperature: 1, seed }, 0) / 1000 - 0.4995;
  let byPosition = 0;
  let bySeed = 0;
  for (let i = 0; i < NUM_DRAWS; i++) {
    byPosition += at(i, 7) * at(i + 1, 7);
    bySeed += at(7, i) * at(7, i + 1);
  }
  const VARIANCE = 1 / 12;
  assert.ok(Math.abs(byPosition / NUM_DRAWS / VARIANCE) < 0.03);
  assert.ok(Math.abs(bySeed / NUM_DRAWS / VARIANCE) < 0.03);
});

test('the same seed and position draw the same token, other seeds other ones, and only candidates are drawn', () => {
  const logits = gaussianLogits(1000, 6, 1);
  const options = { ...GREEDY, temperature: 1.2, topK: 20, topP: 0.95, minP: 0.02 };
  const drawn = (seed: number) =>
    Array.from({ length: 50 }, (_, i) => sampleToken(logits, [], i, { ...options, seed }, 0));
  assert.deepEqual(drawn(1), drawn(1));
  assert.notDeepEqual(drawn(1), drawn(2));
  const allowed = candidatesByDefinition(logits, 20, 0.95, 0.02);
  for (const token of drawn(3)) assert.ok(allowed.includes(token));
});

test('the largest logits alone give the tokens that all logits give', () => {
  const all = gaussianLogits(1000, 6, 1).map((logit) => Math.round(4 * logit) / 4);
  const order = Array.from(all.keys()).sort((a, b) => all[b] - all[a] || a - b);
  const largest = { indices: Uint32Array.from(order.slice(0, 64)), values: Float32Array.from(order, (id) => all[id]) };
  for (const filters of [{ topK: 20 }, { topK: 64, topP: 0.9 }, { topK: 40, topP: 0.8, minP: 0.05 }]) {
    for (let position = 1; position < 40; position++) {
      const options = { ...GREEDY, temperature: 1.5, ...filters };
      assert.equal(sampleLargest(largest, position, options), sampleToken(all, [], position, options, 0));
    }
  }
  assert.equal(sampleLargest(largest, 1, GREEDY), sampleToken(all, [], 1, GREEDY, 0));
});

test('a token of probability 0 is never drawn, and a very low temperature is greedy', () => {
  const logits = Float32Array.of(-Infinity, 0, -Infinity, 1, -Infinity);
  for (let position = 0; position < 200; position++) {
    assert.ok([1, 3].includes(sampleToken(logits, [], position, { ...GREEDY, temperature: 5 }, 0)));
    assert.equal(sampleToken(logits, [], position, { ...GREEDY, temperature: 1e-6 }, 0), 3);
  }
});

test('logits that are not numbers are an error, not an answer', () => {
  const failure = { code: 'ENGINE_FAILED', message: /^the logits of position 4 are not numbers/ };
  for (const logits of [[0, NaN, 1], [NaN], [-Infinity, -Infinity], [0, Infinity]]) {
    assert.throws(() => sampleToken(Float32Array.from(logits), [], 5, GREEDY, 0), failure);
    assert.throws(() => sampleToken(Float32Array.from(logits), [], 5, { ...GREEDY, temperature: 1 }, 0), failure);
    const [first] = logits.filter((logit) => !(logit < Infinity)).concat(-Infinity);
    assert.throws(
      () => sampleLargest({ indices: Uint32Array.of(0), values: Float32Array.of(first) }, 5, GREEDY),
      failure,
    );
  }
});
