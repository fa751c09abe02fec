import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryPageStore } from '../cache/page-store.ts';
import { TokenChain } from '../cache/prefix-chain.ts';
import { unitsOfSequence } from '../cache/sequence-pages.ts';
import type { KvFormat } from '../quant/kv-format.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { SAMPLING_DEFAULTS } from './defaults.ts';
import type { EngineSharing } from './engine.ts';
import { DEFAULT_TENANT, type EngineRequest } from './request.ts';
import { expectedAnswer } from './testing/expected-answer.ts';
import { createHashEngine, type HashEngineOptions } from './testing/hash-engine.ts';
import { RecordedEvents } from './testing/recorded-events.ts';
import { END_ID, letters, openTinyModel, request } from './testing/tiny-engine.ts';
import type { GenerateResult } from './types.ts';

/** Many requests on one page memory, without a model (testing/hash-kernels.ts). Pages have 32 tokens after 4 sink tokens. */

const tokenizer = new Tokenizer((await openTinyModel()).tokenizerMetadata);

type Changes = Partial<Omit<HashEngineOptions, 'sharing'>> & { readonly sharing?: Partial<EngineSharing> };

function createEngine({ sharing, ...changes }: Changes = {}) {
  const plain = { tokenizer, kvs: ['q4'], maxContext: 300, maxRows: 64, numUnits: 500 };
  const hashEngine = createHashEngine({ ...plain, ...changes, sharing: { maxSequences: 8, ...sharing } });
  const { engine, model, memory } = hashEngine;
  /** Runs a request and compares its answer with what it has to be. */
  const run = async (asked: Partial<EngineRequest>): Promise<GenerateResult> => {
    const whole = request({ maxTokens: 3, ...asked });
    const events = new RecordedEvents();
    const result = await engine.submit(whole, events).result;
    const expected = expectedAnswer(whole, model);
    assert.deepEqual(result.tokenIds, expected.tokenIds);
    events.check(whole, expected, result);
    engine.checkPages();
    return result;
  };
  const cached = async (asked: Partial<EngineRequest>): Promise<number> => (await run(asked)).cachedTokens;
  const unitsFor = (numTokens: number, format: KvFormat = model.format): number =>
    unitsOfSequence(memory.cacheOf(format).shape, numTokens);
  return { ...hashEngine, run, cached, unitsFor };
}

describe('the same prompt, asked several times at once,', () => {
  const hot = (seed: number) => ({ ...SAMPLING_DEFAULTS, temperature: 1, seed, logitBias: { [END_ID]: -100 } });

  for (const [length, expected] of [
    [10, 9],
    [36, 0], // fills its page, which is sealed then
    [37, 36],
    [50, 49],
    [150, 149],
  ]) {
    test(`is computed once, its last page included, whatever comes after it: ${length} tokens`, async () => {
      const { run } = createEngine();
      const asked = { promptTokens: letters(length), maxTokens: 60 };
      const answers = await Promise.all([1, 2, 3, 4].map((seed) => run({ ...asked, sampling: hot(seed) })));
      assert.deepEqual(
        answers.map(({ cachedTokens }) => cachedTokens),
        [0, expected, expected, expected],
      );
    });
  }

  test('is computed by each tenant, by those who want that, and where logits inside of it are wanted', async () => {
    const { cached } = createEngine();
    const asked = { promptTokens: letters(50), maxTokens: 20 };
    const changes = [{}, { tenant: 'other' }, { reusePrefix: false }, { logProbsAt: [40] }, { logProbsAt: [49] }, {}];
    assert.deepEqual(await Promise.all(changes.map((change) => cached({ ...asked, ...change }))), [0, 0, 0, 0, 49, 49]);
  });

  test('is found as far as its pages go where the first answer has gone on', async () => {
    const { cached } = createEngine({ sharing: { maxSequences: 2 } });
    const asked = { promptTokens: letters(50), sampling: hot(1) };
    const lengths = [80, 20, 5].map((maxTokens) => cached({ ...asked, maxTokens }));
    assert.deepEqual(await Promise.all(lengths), [0, 49, 36]);
  });
});

describe('prefixes', () => {
  test('of earlier requests are found page by page, whoever asked, but only in the same tenant and format', async () => {
    const { cached, formats } = createEngine({ kvs: ['q4', 'q8'], numUnits: 2000 });
    const promptTokens = letters(150);
    assert.equal(await cached({ promptTokens }), 0);
    for (const [numTokens, expected] of [
      [150, 132],
      [133, 132],
      [132, 100], // the last token is always computed
      [36, 0],
      [37, 36],
    ]) {
      assert.equal(await cached({ promptTokens: letters(numTokens) }), expected, `${numTokens} tokens`);
    }
    assert.equal(await cached({ promptTokens: [...letters(80), 30, 31] }), 68);
    assert.equal(await cached({ promptTokens, tenant: 'other' }), 0);
    assert.equal(await cached({ promptTokens, tenant: 'other' }), 132);
    assert.equal(await cached({ promptTokens, format: formats[1] }), 0);
    assert.equal(await cached({ promptTokens, format: formats[0] }), 132);
  });

  test('of answers are found, too', async () => {
    const { run } = createEngine();
    const first = await run({ promptTokens: letters(30), maxTokens: 50 });
    assert.equal(first.completionTokens, 50);
    const next = await run({ promptTokens: [...letters(30), ...first.tokenIds, 7] });
    assert.equal(next.cachedTokens, 68);
  });

  test('are computed where log-probabilities inside of them are wanted: all are given', async () => {
    const { run } = createEngine();
    const promptTokens = letters(150);
    for (const [logProbsAt, expected] of [
      [[149], 0],
      [[149], 132],
      [[140], 132],
      [[132], 132],
      [[131], 100],
      [[10, 140], 0],
      [[0, 149], 0],
    ] as const) {
      // The events are compared with what is expected, position by position.
      assert.equal((await run({ promptTokens, logProbsAt })).cachedTokens, expected, logProbsAt.join());
    }
    const inConversation = { promptTokens, conversation: 1 };
    await run(inConversation);
    assert.equal((await run({ ...inConversation, logProbsAt: [145] })).cachedTokens, 145);
    assert.equal((await run({ ...inConversation, logProbsAt: [60, 145] })).cachedTokens, 36);
  });

  test('that an operator declares public are shared by all, up to their last full page', async () => {
    const { engine, cached } = createEngine({ numUnits: 2000 });
    const promptTokens = letters(150);
    await cached({ promptTokens, tenant: 'a' });
    engine.declarePublicPrefix(letters(110));
    assert.equal(await cached({ promptTokens, tenant: 'a' }), 0, 'what was not public does not become so');
    assert.equal(await cached({ promptTokens, tenant: 'b' }), 100);
    assert.equal(
      await cached({ promptTokens: letters(109), tenant: 'c' }),
      0,
      'it does not begin with the whole prefix',
    );
  });

  test('that become public are computed anew by a conversation that had them before, and shared from then on', async () => {
    const { engine, memory, cached } = createEngine({ numUnits: 2000 });
    const promptTokens = letters(80);
    await cached({ promptTokens, tenant: 'a', conversation: 1 });
    engine.declarePublicPrefix(letters(40));
    assert.equal(await cached({ promptTokens: [...promptTokens, 1], tenant: 'a', conversation: 1 }), 0);
    assert.equal(await cached({ promptTokens: [...promptTokens, 1, 2], tenant: 'a', conversation: 1 }), 81);
    assert.equal(await cached({ promptTokens, tenant: 'b' }), 36);
    engine.releaseConversation(1);
    memory.tree.clear();
    assert.equal(memory.pool.numPages, 0);
  });

  test('are neither used nor kept by a request that wants no reuse; its conversation shares them as it goes on', async () => {
    const { cached, run } = createEngine();
    const promptTokens = letters(150);
    await cached({ promptTokens });
    assert.equal(await cached({ promptTokens, reusePrefix: false }), 0);
    const other = letters(150, 9);
    await run({ promptTokens: other, reusePrefix: false, conversation: 4 });
    assert.equal(await cached({ promptTokens: other.slice(0, 149), maxTokens: 0, reusePrefix: false }), 0);
    assert.equal(await cached({ promptTokens: [...other, 3, 4], conversation: 4 }), 150);
    assert.equal(await cached({ promptTokens: other }), 132);
  });

  test('come back from the second tier, as far as there is room', async () => {
    const store = new MemoryPageStore(1e6);
    const { cached, memory } = createEngine({ numUnits: 130, store });
    const promptTokens = letters(150);
    await cached({ promptTokens });
    await cached({ promptTokens: letters(200, 9), maxTokens: 30 });
    assert.equal(memory.tree.find(memoryPage(memory, promptTokens)), undefined);
    assert.ok(store.numPages >= 4);
    assert.equal(await cached({ promptTokens }), 132);
  });
});

/** The first page of some tokens. */
function memoryPage(memory: ReturnType<typeof createEngine>['memory'], tokens: readonly number[]) {
  const { root, shape } = memory.defaultCache;
  return new TokenChain({ root, shape, tenant: DEFAULT_TENANT, numPublicTokens: 0 }, tokens).page(0);
}

describe('room', () => {
  test('that a prompt can never have is refused, by the arena or the quota, whichever is smaller', async () => {
    const text = (longest: number) => ({
      code: 'OUT_OF_MEMORY',
      message: new RegExp(`^the prompt has 300 tokens, but the KV cache holds ${longest} in q4: shorten`),
    });
    for (const [numUnits, tenantQuotaUnits] of [
      [100, undefined],
      [100, 5000], // a quota beyond the arena gives nobody more than the arena
      [500, 100],
    ] as const) {
      const { engine, model, run } = createEngine({ numUnits, sharing: { tenantQuotaUnits } });
      const longest = model.mostTokens(model.format);
      assert.ok(longest > 100 && longest < 300);
      assert.throws(() => engine.submit(request({ promptTokens: letters(300) }), new RecordedEvents()), text(longest));
      const full = await run({ promptTokens: letters(longest - 5), maxTokens: undefined });
      assert.deepEqual([full.finishReason, full.completionTokens], ['context', 5]);
    }
  });

  test('that grows short preempts the latest, whose answer stays the same and whose progress never goes back', async () => {
    const { run, unitsFor, memory } = createEngine({ numUnits: 250 });
    const asked = [0, 5, 9].map((first) => ({ promptTokens: letters(30, first), maxTokens: 180 }));
    assert.ok(unitsFor(210) * 3 > memory.pool.numUnits);
    const results = await Promise.all(asked.map(run));
    assert.equal(results[0].preemptions, 0);
    assert.ok(results[1].preemptions + results[2].preemptions > 0);
  });

  test('goes to those of higher priority first', async () => {
    const { run } = createEngine({ numUnits: 250, sharing: { policy: 'priority' } });
    const asked = [0, 5, 9].map((first, index) => ({
      ...{ promptTokens: letters(30, first), maxTokens: 180, priority: index },
    }));
    const results = await Promise.all(asked.map(run));
    assert.equal(results[2].preemptions, 0);
    assert.ok(results[0].preemptions > 0);
  });
});

describe('a quota', () => {
  test('counts the own pages only, and holds up nobody else, even those of lower priority', async () => {
    const sharing = { tenantQuotaUnits: 105, policy: 'priority' } as const;
    const { run, kernels, unitsFor } = createEngine({ numUnits: 1000, sharing });
    assert.ok(2 * unitsFor(100) > 105 && unitsFor(160) <= 105);
    let [numSteps, mostSegments] = [0, 0];
    const later = Promise.withResolvers<void>();
    kernels.onStep = (step) => {
      mostSegments = Math.max(mostSegments, step.segments.length);
      if (++numSteps === 10) later.resolve();
      return step;
    };
    const ended: string[] = [];
    const start = async (tenant: string, first: number): Promise<void> => {
      await run({ promptTokens: letters(100, first), maxTokens: 60, tenant, priority: tenant === 'a' ? 1 : 0 });
      ended.push(tenant);
    };
    const first = [start('a', 1), start('a', 5), start('a', 9)];
    await later.promise; // the first one of `a` has its pages by now
    await Promise.all([...first, start('b', 2), start('c', 3)]);
    assert.equal(mostSegments, 3, 'one of each tenant at a time');
    assert.deepEqual(ended.slice(-2), ['a', 'a']);
  });

  test('is kept by forks: older conversations of the tenant go, those of others stay', async () => {
    const quota = createEngine().unitsFor(100);
    const { engine, run, cached, memory } = createEngine({ numUnits: 1000, sharing: { tenantQuotaUnits: quota } });
    const { tokenIds } = await run({ promptTokens: letters(50), conversation: 1, tenant: 'b' });
    const spoken = [...letters(50), ...tokenIds];
    await run({ promptTokens: letters(50), conversation: 2, tenant: 'a' });
    for (const to of [3, 4, 5]) engine.forkConversation(2, to);
    engine.checkPages();
    assert.ok(memory.pool.numUnits - memory.pool.numFreeUnits <= 2 * quota);
    assert.equal(await cached({ promptTokens: spoken, conversation: 1, tenant: 'b' }), 52);
  });

  test('lets a request have what it found in the cache, though it is what was not used for longest', async () => {
    const quota = createEngine().unitsFor(143);
    const { cached, memory } = createEngine({ numUnits: 1000, sharing: { tenantQuotaUnits: quota } });
    const [first, second] = [letters(140, 1), letters(60, 5)];
    assert.equal(await cached({ promptTokens: first }), 0);
    assert.equal(await cached({ promptTokens: second }), 0); // two pages of the first one had to go
    assert.equal(await cached({ promptTokens: first }), 68);
    assert.equal(await cached({ promptTokens: second, conversation: 1 }), 0);
    assert.equal(await cached({ promptTokens: [...second, 3, 4], conversation: 1 }), 60);
    assert.ok(memory.tree.unitsOfTenant(DEFAULT_TENANT) <= quota);
  });
});

describe('what comes during a step', () => {
  test('a fork waits for its end, and comes before requests that are submitted after it', async () => {
    const { engine, kernels, run, cached } = createEngine();
    const { tokenIds } = await run({ promptTokens: letters(50), conversation: 1, maxTokens: 5 });
    assert.equal(tokenIds.length, 5);
    const spoken = [...letters(50), ...tokenIds].slice(0, 54);
    let forked: Promise<number> | undefined;
    kernels.onStep = async (step) => {
      if (!forked) {
        engine.forkConversation(1, 2);
        engine.releaseConversation(1);
        forked = cached({ promptTokens: [...spoken, 9, 9], conversation: 2 });
      }
      await Promise.resolve();
      return step;
    };
    await run({ promptTokens: letters(40, 9), maxTokens: 5 });
    assert.equal(await forked, 54);
    assert.equal(await cached({ promptTokens: [...spoken, 8, 8], conversation: 1 }), 36, 'it was released');
  });

  test('a fork has no effect on the conversation it came from, and needs no pages where that one has none', async () => {
    const { engine, run, cached } = createEngine();
    engine.forkConversation(1, 2);
    const { tokenIds } = await run({ promptTokens: letters(50), conversation: 1, maxTokens: 5 });
    engine.forkConversation(1, 2);
    engine.checkPages();
    const spoken = [...letters(50), ...tokenIds].slice(0, 54);
    const [first, second] = await Promise.all([
      cached({ promptTokens: [...spoken, 9, 9], conversation: 1, maxTokens: 40 }),
      cached({ promptTokens: [...spoken, 8, 8], conversation: 2, maxTokens: 40 }),
    ]);
    assert.deepEqual([first, second], [54, 54]);
  });

  test('other work on the page memory waits for its end, in order; what goes wrong with it is nothing to the engine', async () => {
    const { engine, kernels, run, memory, formats } = createEngine();
    const told: string[] = [];
    const work: Promise<unknown>[] = [];
    let isInStep = false;
    kernels.onStep = async (step) => {
      isInStep = true;
      const tell = (what: string) => () => {
        assert.equal(isInStep, false);
        told.push(what);
      };
      if (work.length === 0) {
        const failing = engine.betweenSteps(() => {
          throw new RangeError('no such page');
        });
        work.push(engine.betweenSteps(tell('first')), assert.rejects(failing, /no such page/));
        work.push(engine.betweenSteps(tell('second')));
        const q8: KvFormat = { ...formats[0], name: 'copy' };
        work.push(engine.betweenSteps((given) => given.addFormat(q8, 'ab'.repeat(32))));
      }
      await Promise.resolve();
      isInStep = false;
      return step;
    };
    await run({ promptTokens: letters(40), maxTokens: 5 });
    await Promise.all(work);
    assert.deepEqual(told, ['first', 'second']);
    assert.equal(await engine.betweenSteps((given) => given === memory), true);
  });

  test('is not done if the step fails: work on the page memory is refused as requests are', async () => {
    const { engine, kernels } = createEngine();
    const failed = { code: 'ENGINE_FAILED', message: /^the engine failed: no power/ };
    const done = engine.submit(
      request({ promptTokens: letters(50), maxTokens: 2, conversation: 1 }),
      new RecordedEvents(),
    );
    await done.result;
    const work: Promise<void>[] = [];
    kernels.onStep = async () => {
      engine.forkConversation(1, 2);
      work.push(
        assert.rejects(
          engine.betweenSteps(() => assert.fail('kernels that failed are used')),
          failed,
        ),
      );
      await Promise.resolve();
      throw new Error('no power');
    };
    await assert.rejects(engine.submit(request(), new RecordedEvents()).result, failed);
    await Promise.all(work);
    assert.equal(work.length, 1);
    await assert.rejects(
      engine.betweenSteps(() => undefined),
      failed,
    );
  });

  test('an abort of a request that waits, by whoever hears that another one starts, is not lost', async () => {
    const { engine } = createEngine();
    const submit = (events: RecordedEvents) => engine.submit(request({ maxTokens: 9 }), events);
    const events = new RecordedEvents();
    const [first, second] = [submit(events), submit(new RecordedEvents())];
    events.onStart = () => engine.abort(second.id);
    assert.equal((await second.result).finishReason, 'aborted');
    assert.notEqual((await first.result).finishReason, 'aborted');
  });
});
