import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kernels } from '../kernels/kernels.ts';
import { SAMPLING_DEFAULTS } from './defaults.ts';
import type { EnginePlatform, LoadedEngine } from './load-engine.ts';
import { nodePlatform } from './platform-node.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { sequenceBytes } from './kv-memory.ts';
import type { RequestEvents } from './request.ts';
import { END_ID, letters, loadTinyEngine, NO_EVENTS, openTinyModel, request } from './testing/tiny-engine.ts';
import type { TextChunk } from './types.ts';

const WARM = { ...SAMPLING_DEFAULTS, temperature: 1 };

/** Runs a request and gathers what it says on the way. */
async function run(
  { engine }: LoadedEngine,
  changes: Parameters<typeof request>[0],
  events: Partial<RequestEvents> = {},
) {
  const chunks: TextChunk[] = [];
  const submitted = engine.submit(request(changes), {
    ...NO_EVENTS,
    onChunk: (chunk) => chunks.push(chunk),
    ...events,
  });
  return { ...(await submitted.result), chunks };
}

/** The platform with kernels that fail, or tell, when a step is finished. */
function platformWith(onStep: (numSteps: number) => void): EnginePlatform {
  return {
    ...nodePlatform,
    async createKernels(backend, config) {
      const kernels = await nodePlatform.createKernels(backend, config);
      let numSteps = 0;
      const finishStep = async (): Promise<void> => {
        await kernels.finishStep();
        onStep(++numSteps);
      };
      return new Proxy(kernels, {
        get(target: Kernels, name: keyof Kernels) {
          if (name === 'finishStep') return finishStep;
          const value: unknown = target[name];
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      });
    },
  };
}

test('a greedy answer ends at maxTokens, its chunks make up its text, and every page is given back', async () => {
  const loaded = await loadTinyEngine();
  const result = await run(loaded, { promptTokens: letters(150), maxTokens: 20 });
  assert.equal(result.finishReason, 'length');
  assert.equal(result.promptTokens, 150);
  assert.equal(result.cachedTokens, 0);
  assert.equal(result.completionTokens, 20);
  assert.equal(result.tokenIds.length, 20);
  assert.equal(result.text, loaded.tokenizer.decode(result.tokenIds));
  assert.equal(result.chunks.map(({ text }) => text).join(''), result.text);
  assert.deepEqual(
    result.chunks.flatMap(({ tokenIds }) => tokenIds),
    result.tokenIds,
  );
  assert.equal(result.kv.format, 'q4');
  assert.equal(result.kv.tokens, 169); // the last token was not computed
  assert.ok(result.kv.bytes < result.kv.bytesF16 && result.kv.bitsPerElement < 16);
  loaded.engine.checkPages();
});

test('maxTokens 0 computes the prompt, for its log-probabilities, and generates nothing', async () => {
  const loaded = await loadTinyEngine();
  const positions: number[] = [];
  const result = await run(
    loaded,
    { promptTokens: letters(70), maxTokens: 0, logProbsAt: [0, 67, 69] },
    {
      onLogProbs: (position, logProbs) => {
        positions.push(position);
        const total = logProbs.reduce((sum, logProb) => sum + Math.exp(logProb), 0);
        assert.ok(Math.abs(total - 1) < 1e-5);
      },
    },
  );
  assert.deepEqual(positions, [0, 67, 69]);
  assert.equal(result.finishReason, 'length');
  assert.equal(result.text, '');
  assert.equal(result.kv.tokens, 70);
  assert.equal(result.timings.decodeTps, undefined);
  assert.ok(result.timings.prefillTps! > 0 && result.timings.ttftMs > 0);
});

test('the log-probabilities of a prompt position are those of the greedy choice', async () => {
  const loaded = await loadTinyEngine();
  let likeliest: number | undefined;
  const onLogProbs = (_: number, logProbs: Float32Array): void => {
    likeliest = logProbs.indexOf(Math.max(...logProbs));
  };
  const result = await run(loaded, { maxTokens: 1, logProbsAt: [4] }, { onLogProbs });
  assert.deepEqual(result.tokenIds, [likeliest]);
});

test('an answer ends where the context is full', async () => {
  const loaded = await loadTinyEngine({ ctx: 80 });
  const result = await run(loaded, { promptTokens: letters(70), sampling: { ...WARM, seed: 4 } });
  assert.equal(result.finishReason, 'context');
  assert.equal(result.completionTokens, 10);
  const full = await run(loaded, { promptTokens: letters(80), maxTokens: 5 });
  assert.equal(full.finishReason, 'context');
  assert.equal(full.completionTokens, 0);
  assert.equal(full.kv.tokens, 80);
  loaded.engine.checkPages();
});

test('the last page of a context can be filled to its end (q4: 4 + 64, f16: 64)', async () => {
  for (const [kv, ctx] of [
    ['q4', 68],
    ['f16', 64],
  ] as const) {
    const loaded = await loadTinyEngine({ kv, ctx });
    const result = await run(loaded, { promptTokens: letters(ctx), maxTokens: 0 });
    assert.equal(result.kv.tokens, ctx);
    loaded.engine.checkPages();
  }
});

test('a prompt longer than the context is refused with both lengths and the way out', async () => {
  const { engine } = await loadTinyEngine({ ctx: 80 });
  assert.throws(() => engine.submit(request({ promptTokens: letters(81) }), NO_EVENTS), {
    code: 'PROMPT_TOO_LONG',
    message:
      'the prompt has 81 tokens, but the context holds 80: shorten the prompt, or load the model with a larger ctx (--ctx)',
  });
});

test('prompts without tokens, unknown ids and positions beyond the prompt are refused', async () => {
  const { engine } = await loadTinyEngine();
  const refuse = (changes: Parameters<typeof request>[0], message: RegExp): void => {
    assert.throws(() => engine.submit(request(changes), NO_EVENTS), { code: 'INVALID_OPTION', message });
  };
  refuse({ promptTokens: [] }, /^the prompt has no tokens/);
  refuse({ promptTokens: [1, 40] }, /^token id 40 is not in the model's vocabulary: ids go from 0 to 39$/);
  refuse({ logProbsAt: [2, 5] }, /^option "logProbsAt" must be positions of the prompt, 0 to 4; got 5$/);
});

test('the end of turn ends the answer: its id is reported, its text is not', async () => {
  const loaded = await loadTinyEngine();
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, seed) => run(loaded, { maxTokens: 200, sampling: { ...WARM, seed } })),
  );
  const ended = results.filter(({ finishReason }) => finishReason === 'stop');
  assert.ok(ended.length > 0);
  for (const { tokenIds, text } of ended) {
    assert.equal(tokenIds.indexOf(END_ID), tokenIds.length - 1);
    assert.equal(text, loaded.tokenizer.decode(tokenIds.slice(0, -1)));
  }
});

test('a stop string ends the answer before it, even across tokens, and chunks never show its beginning', async () => {
  const loaded = await loadTinyEngine();
  const options = { maxTokens: 40, sampling: { ...WARM, seed: 3 } };
  const whole = await run(loaded, options);
  const stop = whole.text.slice(10, 13);
  const cut = await run(loaded, { ...options, stop: ['never', stop] });
  assert.equal(cut.finishReason, 'stop');
  assert.equal(cut.text, whole.text.slice(0, whole.text.indexOf(stop)));
  assert.equal(cut.chunks.map(({ text }) => text).join(''), cut.text);
  assert.deepEqual(cut.tokenIds, whole.tokenIds.slice(0, cut.tokenIds.length));
  loaded.engine.checkPages();
});

test('text that may begin a stop string is held back, and given when the answer ends without it', async () => {
  const loaded = await loadTinyEngine();
  const options = { maxTokens: 12, sampling: { ...WARM, seed: 3 } };
  const whole = await run(loaded, options);
  const held = await run(loaded, { ...options, stop: [`${whole.text.slice(-2)}never`] });
  assert.equal(held.text, whole.text);
  assert.equal(held.finishReason, 'length');
  assert.equal(held.chunks.at(-1)?.text, whole.text.slice(-2));
});

test('the same seed gives the same answer, another seed another one', async () => {
  const loaded = await loadTinyEngine();
  const answer = async (seed: number) => (await run(loaded, { maxTokens: 30, sampling: { ...WARM, seed } })).tokenIds;
  const first = await answer(1);
  assert.deepEqual(await answer(1), first);
  assert.notDeepEqual(await answer(2), first);
});

test('a request that is aborted ends within a step, with what it has so far', async () => {
  const abortAfter = 5;
  let abort = (): void => undefined;
  const loaded = await loadTinyEngine(
    {},
    platformWith((numSteps) => numSteps === abortAfter && abort()),
  );
  const submitted = loaded.engine.submit(request({ sampling: { ...WARM, seed: 1 } }), NO_EVENTS);
  abort = () => loaded.engine.abort(submitted.id);
  const result = await submitted.result;
  assert.equal(result.finishReason, 'aborted');
  assert.equal(result.completionTokens, abortAfter - 1);
  loaded.engine.checkPages();
  loaded.engine.abort(submitted.id); // it has ended: nothing happens
  assert.equal((await run(loaded, { maxTokens: 3 })).finishReason, 'length');
});

test('a waiting request can be aborted before it has started', async () => {
  const loaded = await loadTinyEngine();
  const first = loaded.engine.submit(request({ maxTokens: 30 }), NO_EVENTS);
  const second = loaded.engine.submit(request({ maxTokens: 30 }), NO_EVENTS);
  loaded.engine.abort(second.id);
  const aborted = await second.result;
  assert.equal(aborted.finishReason, 'aborted');
  assert.equal(aborted.completionTokens, 0);
  assert.equal(aborted.kv.tokens, 0);
  assert.equal((await first.result).completionTokens, 30);
});

test('more requests than sequences wait their turn, and give what they give alone', async () => {
  const loaded = await loadTinyEngine({ maxSequences: 2, ctx: 400 });
  const prompts = [letters(5), letters(130, 3), letters(300, 1), letters(64, 9), letters(1)];
  const options = (i: number) => ({ promptTokens: prompts[i], maxTokens: 25, sampling: { ...WARM, seed: i } });
  const together = await Promise.all(prompts.map((_, i) => run(loaded, options(i))));
  loaded.engine.checkPages();
  for (const [i, { tokenIds }] of together.entries()) {
    assert.deepEqual((await run(loaded, options(i))).tokenIds, tokenIds, `prompt ${i}`);
  }
});

test('progress of the prompt is told step by step, up to its end', async () => {
  const loaded = await loadTinyEngine();
  const seen: number[] = [];
  await run(
    loaded,
    { promptTokens: letters(150), maxTokens: 2 },
    { onPrefillProgress: (p) => seen.push(p.computedTokens) },
  );
  assert.deepEqual(seen, [68, 132, 150]);
});

test('a conversation that goes on computes only what is new, however it has changed, and gives what a new one gives', async () => {
  const fresh = await loadTinyEngine();
  const loaded = await loadTinyEngine();
  const first = await run(loaded, { promptTokens: letters(150), maxTokens: 10, conversation: 7 });
  const spoken = [...letters(150), ...first.tokenIds];
  const changeAt = (position: number): number[] => [...spoken.slice(0, position), 30, 31, 32];
  // [prompt, tokens that are cached]: the cache has 160 tokens, pages sealed up to 68 and 132
  const cases: [number[], number][] = [
    [[...spoken, ...letters(20, 5)], 160],
    [changeAt(140), 140], // inside the open page
    [changeAt(100), 68], // inside a sealed page: from its start on
    [changeAt(68), 68],
    [changeAt(2), 0], // inside the sink page, which the prefix tree shares
    [changeAt(0), 0],
  ];
  for (const [prompt, numCached] of cases) {
    await run(loaded, { promptTokens: spoken, maxTokens: 0, conversation: 7 });
    const options = { maxTokens: 15, sampling: { ...WARM, seed: 2 } };
    const continued = await run(loaded, { promptTokens: prompt, conversation: 7, ...options });
    assert.equal(continued.cachedTokens, numCached);
    const anew = await run(fresh, { promptTokens: prompt, reusePrefix: false, ...options });
    assert.deepEqual(continued.tokenIds, anew.tokenIds);
    assert.equal(anew.cachedTokens, 0);
    loaded.engine.checkPages();
  }
});

test('the same prompt again computes its last token only', async () => {
  const loaded = await loadTinyEngine();
  const first = await run(loaded, { promptTokens: letters(40), maxTokens: 3, conversation: 1 });
  const again = await run(loaded, { promptTokens: letters(40), maxTokens: 3, conversation: 1 });
  assert.equal(again.cachedTokens, 39);
  assert.deepEqual(again.tokenIds, first.tokenIds);
});

test('conversations that are idle make room, the least recently used first', async () => {
  const { hyperparameters } = await openTinyModel();
  const kvMemory = 2 * sequenceBytes(parseKvFormat('q4', hyperparameters.headDim), hyperparameters, 101);
  const loaded = await loadTinyEngine({ maxSequences: 2, kvMemory });
  const cached = async (text: number, conversation: number | undefined = text): Promise<number> => {
    const result = await run(loaded, { promptTokens: letters(100, text), maxTokens: 1, conversation });
    loaded.engine.checkPages();
    return result.cachedTokens;
  };
  assert.equal(await cached(1), 0);
  assert.equal(await cached(2), 0);
  assert.equal(await cached(1), 99);
  assert.equal(await cached(3), 0); // takes the place of 2
  assert.equal(await cached(1), 99);
  assert.equal(await cached(2), 0); // takes the place of 3
  assert.equal(await cached(1), 99);
  loaded.engine.releaseConversation(1);
  assert.equal(await cached(1, undefined), 68); // the page that is full stays in the prefix tree
});

test('a conversation whose answer was aborted goes on', async () => {
  let abort = (): void => undefined;
  const loaded = await loadTinyEngine(
    {},
    platformWith((numSteps) => numSteps === 6 && abort()),
  );
  const submitted = loaded.engine.submit(request({ promptTokens: letters(20), conversation: 1 }), NO_EVENTS);
  abort = () => loaded.engine.abort(submitted.id);
  const { tokenIds, finishReason } = await submitted.result;
  assert.equal(finishReason, 'aborted');
  const prompt = [...letters(20), ...tokenIds, ...letters(5)];
  const next = await run(loaded, { promptTokens: prompt, maxTokens: 4, conversation: 1 });
  assert.equal(next.cachedTokens, 20 + tokenIds.length);
  assert.equal(next.finishReason, 'length');
  loaded.engine.checkPages();
});

test('a step that fails ends every request with ENGINE_FAILED, and the engine takes no more', async () => {
  const platform = platformWith((numSteps) => {
    if (numSteps === 3) throw new Error('the GPU fell out');
  });
  const { engine } = await loadTinyEngine({ maxSequences: 2 }, platform);
  const failure = {
    code: 'ENGINE_FAILED',
    message: 'the engine failed: the GPU fell out; load the model again',
  };
  const results = [1, 2, 3].map(() => engine.submit(request(), NO_EVENTS).result);
  await Promise.all(results.map((result) => assert.rejects(result, failure)));
  assert.throws(() => engine.submit(request(), NO_EVENTS), failure);
});

test('closing rejects what runs and waits with ENGINE_CLOSED, and later requests too', async () => {
  const { engine } = await loadTinyEngine();
  const results = [1, 2].map(() => engine.submit(request({ promptTokens: letters(300) }), NO_EVENTS).result);
  const closed = { code: 'ENGINE_CLOSED', message: /^the model was closed/ };
  const rejected = Promise.all(results.map((result) => assert.rejects(result, closed)));
  await engine.close();
  await rejected;
  assert.throws(() => engine.submit(request(), NO_EVENTS), closed);
});
