import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SAMPLING_DEFAULTS, type ResolvedSampling } from '../defaults.ts';
import { loadTinyEngine, NO_EVENTS, request } from '../testing/tiny-engine.ts';
import type { LoadedEngine } from '../load-engine.ts';
import type { DraftModel } from './draft-model.ts';
import { createRandom } from './testing/random.ts';
import { loadTinyWithDraft, openTiny } from './testing/load-tiny-draft.ts';

const GREEDY: ResolvedSampling = { ...SAMPLING_DEFAULTS, seed: 5 };
const SAMPLED: ResolvedSampling = { ...GREEDY, temperature: 0.9, topK: 40, repetitionPenalty: 1.1 };

/** A model that drafts for itself: with the cache in f16 its drafts are the target's tokens, as far as q8 loses nothing. */
let loaded: LoadedEngine;
let draftModel: DraftModel;

before(async () => {
  loaded = await loadTinyWithDraft('llama-d64.Q8_0', 'llama-d64.Q8_0', { kv: 'q8' });
  draftModel = loaded.draftModel as DraftModel;
});

after(async () => {
  await loaded.kernels.close();
  await draftModel.kernels.close();
});

async function answerOf(promptTokens: readonly number[], sampling: ResolvedSampling, maxTokens: number) {
  const { result } = loaded.engine.submit(request({ promptTokens, sampling, maxTokens }), NO_EVENTS);
  return [...(await result).tokenIds];
}

function prompt(length: number, seed = 1): number[] {
  const random = createRandom(seed);
  return Array.from({ length }, () => 1 + Math.floor(random() * 2047));
}

for (const [name, sampling] of [
  ['greedy', GREEDY],
  ['sampled with the same seed', SAMPLED],
] as const) {
  test(`the target's own model drafts exactly what the target says, ${name}, whatever was accepted before`, async () => {
    const tokens = prompt(50);
    const answer = await answerOf(tokens, sampling, 60);
    const drafter = draftModel.createDrafter(sampling, 0);
    const all = [...tokens, ...answer];
    for (let length = tokens.length; length < all.length - 8; length += 1 + (length % 4)) {
      const drafts = await drafter.propose(all.slice(0, length), 5);
      assert.deepEqual(drafts, all.slice(length, length + drafts.length));
      assert.ok(drafts.length > 0);
    }
    drafter.release();
  });
}

test('drafts depend on the tokens alone, not on what was drafted, taken back or changed before', async () => {
  const random = createRandom(9);
  const drafter = draftModel.createDrafter(GREEDY, 0);
  let tokens = prompt(150, 2);
  for (let i = 0; i < 12; i++) {
    tokens = tokens.slice(0, 1 + Math.floor(random() * tokens.length));
    tokens.push(...prompt(Math.floor(random() * 60), 100 + i));
    const fresh = draftModel.createDrafter(GREEDY, 0);
    assert.deepEqual(await settled(drafter, tokens), await settled(fresh, tokens));
    fresh.release();
  }
  drafter.release();
});

/** Proposes until the drafter has taken in all tokens. */
async function settled(drafter: ReturnType<DraftModel['createDrafter']>, tokens: readonly number[]) {
  for (let i = 0; i < 20; i++) {
    const drafts = await drafter.propose(tokens, 4);
    if (drafts.length > 0) return drafts;
  }
  throw new Error('nothing was drafted in 20 calls');
}

test('a long prompt is taken in over several calls, none of which computes more rows than a step has', async () => {
  const { maxRows } = draftModel.kernels.config;
  const drafter = draftModel.createDrafter(GREEDY, 0);
  const tokens = prompt(2 * maxRows + 30);
  assert.deepEqual(await drafter.propose(tokens, 4), []);
  assert.deepEqual(await drafter.propose(tokens, 4), []);
  assert.ok((await drafter.propose(tokens, 4)).length > 0);
  drafter.release();
});

test('nothing is drafted beyond the context, nor where a draft would fill a page', async () => {
  const { maxContext, format } = draftModel.kernels.config;
  const drafter = draftModel.createDrafter(GREEDY, 0);
  assert.equal((await settled(drafter, prompt(maxContext - 2))).length, 2);
  assert.deepEqual(await drafter.propose(prompt(maxContext + 1), 4), []);
  const toFull = format.numSinkTokens + format.pageSize;
  // The draft that follows the page's last token but two is computed, the next one is not.
  assert.equal((await drafter.propose(prompt(toFull - 2), 4)).length, 2);
  assert.equal((await drafter.propose(prompt(toFull - 1), 4)).length, 1);
  drafter.release();
});

test('every page goes back when sequences are released', async () => {
  const drafters = [GREEDY, SAMPLED].map((sampling) => draftModel.createDrafter(sampling, 0));
  for (const drafter of drafters) await settled(drafter, prompt(200));
  draftModel.checkPages();
  for (const drafter of drafters) drafter.release();
  draftModel.checkPages();
  assert.equal(draftModel.numSequences, 0);
});

test('both models are told of, and their memory is counted, as planned', async () => {
  const { info } = loaded;
  assert.equal(info.draftModel, info.name);
  const [own, draft] = [loaded.kernels.memoryUsage(), draftModel.kernels.memoryUsage()];
  assert.equal(info.memory.weightBytes, own.weightBytes + draft.weightBytes);
  assert.equal(info.memory.pageBytes, own.pageBytes + draft.pageBytes);
  assert.ok(info.plannedBytes > info.memory.weightBytes + info.memory.pageBytes);
});

test('a draft model with another vocabulary is refused before any weight is read', async () => {
  let progress = 0;
  const loading = loadTinyEngine({ draft: await openTiny('llama-d96.Q4_0'), onProgress: () => progress++ });
  await assert.rejects(loading, {
    code: 'MODEL_UNSUPPORTED',
    message: /: it has 2048 tokens instead of 40; use a smaller/,
  });
  assert.equal(progress, 0);
});
