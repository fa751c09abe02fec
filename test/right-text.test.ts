import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { klDivergence } from '../src/engine/kl-divergence.ts';
import { agreesOnTop1, summarize } from '../src/eval/kld.ts';
import { openReferenceFolder } from '../src/eval/reference-folder-node.ts';
import { load } from '../src/index.ts';
import type { LoadOptions, Model } from '../src/index.ts';
import { readPrompts, referenceFolder, tinyModel } from './support/reference.ts';

/** What the library computes, beside what other programs compute from the same weights in float32 and float64. */

const SMOLLM2 = referenceFolder('smollm2');
const prompts = await readPrompts(SMOLLM2);

/** Below this, integer arithmetic may rightly take the other token. */
const CLEAR_MARGIN = 0.15;

interface Comparison {
  readonly mean: number;
  readonly max: number;
  readonly top1Agreement: number;
}

/** KL divergence of the model from a reference folder, at those of its full positions that lie before `endPosition`. */
async function compareWithReference(
  t: TestContext,
  model: Model,
  folder: string,
  endPosition = Infinity,
): Promise<Comparison> {
  const reference = await openReferenceFolder(folder);
  const logProbsAt = reference.positions.filter((position) => position < endPosition);
  const divergences: number[] = [];
  let numAgreements = 0;
  const generation = model.generate({
    tokens: reference.tokens.slice(0, logProbsAt[logProbsAt.length - 1] + 1),
    maxTokens: 0,
    logProbsAt,
    onLogProbs: (position, logProbs) => {
      const expected = reference.logProbs(position);
      divergences.push(klDivergence(expected, logProbs));
      if (agreesOnTop1(expected, logProbs)) numAgreements += 1;
    },
  });
  await generation.result;
  assert.equal(divergences.length, logProbsAt.length);
  const { mean, max } = summarize(divergences);
  const top1Agreement = numAgreements / divergences.length;
  const figures = `mean KLD ${mean.toPrecision(3)}, max ${max.toPrecision(3)}`;
  t.diagnostic(`${figures}, top-1 ${numAgreements} of ${divergences.length} positions`);
  return { mean, max, top1Agreement };
}

async function compareOnce(
  t: TestContext,
  options: LoadOptions,
  folder: string,
  endPosition?: number,
): Promise<Comparison> {
  await using model = await load({ ctx: 2048, ...options });
  return await compareWithReference(t, model, referenceFolder(folder), endPosition);
}

describe('the embedded model with an f16 cache', () => {
  let model: Model;
  before(async () => void (model = await load({ kv: 'f16', ctx: 2048 })));
  after(() => model.close());

  it('makes the reference token ids of 12 prompts', async () => {
    assert.equal(prompts.length, 12);
    for (const { prompt, ids } of prompts) assert.deepEqual(await model.tokenize(prompt, { parseSpecial: true }), ids);
  });

  for (const [index, { messages, greedy, ids }] of prompts.entries()) {
    const question = JSON.stringify(messages[messages.length - 1].content.slice(0, 40));
    it(`answers prompt ${index + 1}, ${question}, as float32 does, up to the first margin under ${CLEAR_MARGIN}`, async (t) => {
      const result = await model.generate({ messages, temperature: 0, maxTokens: greedy.ids.length }).result;
      assert.equal(result.promptTokens, ids.length);
      const unclear = greedy.margins.findIndex((margin) => margin < CLEAR_MARGIN);
      const numClear = unclear < 0 ? greedy.ids.length : unclear;
      assert.deepEqual(result.tokenIds.slice(0, numClear), greedy.ids.slice(0, numClear));
      const differs = greedy.ids.findIndex((id, i) => id !== result.tokenIds[i]);
      t.diagnostic(`${differs < 0 ? 'all' : differs} of ${greedy.ids.length} tokens equal, ${numClear} of them due`);
    });

    it(`takes every choice of answer ${index + 1} that is clear by ${CLEAR_MARGIN}, given the tokens before it`, async () => {
      const choices = new Map<number, number>();
      const first = ids.length - 1;
      const generation = model.generate({
        tokens: [...ids, ...greedy.ids.slice(0, -1)],
        maxTokens: 0,
        logProbsAt: greedy.ids.map((_, i) => first + i),
        onLogProbs: (position, logProbs) => void choices.set(position - first, logProbs.indexOf(Math.max(...logProbs))),
      });
      await generation.result;
      assert.equal(choices.size, greedy.ids.length);
      const wrong = greedy.ids.flatMap((id, i) =>
        greedy.margins[i] >= CLEAR_MARGIN && choices.get(i) !== id ? [{ i, margin: greedy.margins[i] }] : [],
      );
      assert.deepEqual(wrong, []);
    });
  }

  it('is as near to float32 as llama.cpp is: mean KLD at most .00245 at 16 positions, top-1 agreement at least 14 of 16', async (t) => {
    const { mean, top1Agreement } = await compareWithReference(t, model, SMOLLM2);
    assert.ok(mean <= 0.00245, `mean KLD ${mean}`);
    assert.ok(top1Agreement >= 14 / 16, `top-1 agreement ${top1Agreement}`);
  });
});

// Which way activations round is chance: measured over and over, the mean at 16 positions varies by a quarter.
describe('the embedded model with other caches, at 16 positions', () => {
  for (const { kv, limit, meaning } of [
    { kv: 'q8', limit: 0.00245, meaning: "llama.cpp's with an f16 cache" },
    { kv: 'q4', limit: 0.0047, meaning: 'half as much again as measured' },
  ]) {
    it(`${kv}: mean KLD to float32 at most ${limit}, ${meaning}`, async (t) => {
      const { mean } = await compareOnce(t, { kv }, 'smollm2');
      assert.ok(mean <= limit, `mean KLD ${mean}`);
    });
  }
});

describe('the tiny models with an f16 cache', () => {
  for (const { name, file, limit, llamaCpp } of [
    { name: 'llama-d64', file: 'llama-d64.Q8_0.gguf', limit: 0.00025, llamaCpp: 0.00025 },
    { name: 'llama-d96', file: 'llama-d96.Q4_0.gguf', limit: 0.00029, llamaCpp: 0.00029 },
    { name: 'llama-d256', file: 'llama-d256.Q4_K_M.gguf', limit: 0.00048, llamaCpp: 0.00048 },
    { name: 'qwen2-d128-keybias', file: 'qwen2-d128-keybias.Q6_K.gguf', limit: 0.00062, llamaCpp: 0.00062 },
    { name: 'qwen3-d128-outliers', file: 'qwen3-d128-outliers.Q5_K_M.gguf', limit: 0.00043, llamaCpp: 0.00043 },
  ]) {
    it(`${name}, reference kernels: mean KLD to float64 at most 1e-6 at 16 positions`, async (t) => {
      const options = { model: tinyModel(file), kv: 'f16', backend: 'reference' } as const;
      const { mean, top1Agreement } = await compareOnce(t, options, `tiny/${name}`, 512);
      assert.ok(mean <= 1e-6, `mean KLD ${mean}`);
      assert.equal(top1Agreement, 1);
    });

    it(`${name}, wasm kernels: mean KLD to float64 at most ${limit} at 64 positions (llama.cpp: ${llamaCpp} at 511)`, async (t) => {
      const options = { model: tinyModel(file), kv: 'f16', backend: 'wasm' } as const;
      const { mean } = await compareOnce(t, options, `tiny/${name}`);
      assert.ok(mean <= limit, `mean KLD ${mean}`);
    });
  }
});
