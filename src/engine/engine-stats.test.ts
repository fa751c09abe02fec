import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGE_UNIT_BYTES } from '../cache/page-layout.ts';
import { Tokenizer } from '../tokens/tokenizer.ts';
import { createHashEngine, type HashEngineOptions } from './testing/hash-engine.ts';
import { letters, loadTinyEngine, NO_EVENTS, openTinyModel, request } from './testing/tiny-engine.ts';
import type { EngineRequest } from './request.ts';
import { pageStats } from './page-stats.ts';
import { MAX_STRIP_PAGES, type EngineStats } from './stats-types.ts';

/** The model of hashes has pages of 32 tokens after 4 sink tokens (testing/hash-engine.ts). */

const tokenizer = new Tokenizer((await openTinyModel()).tokenizerMetadata);

function createEngine(changes: Partial<HashEngineOptions> = {}) {
  const sharing = { maxSequences: 8 };
  const plain = { tokenizer, kvs: ['q4', 'q8'], maxContext: 300, maxRows: 64, numUnits: 2000 };
  const hashEngine = createHashEngine({ ...plain, sharing, ...changes });
  const run = (asked: Partial<EngineRequest>) =>
    hashEngine.engine.submit(request({ maxTokens: 3, ...asked }), NO_EVENTS).result;
  return { ...hashEngine, run };
}

/** Statistics after every step, until a request has ended. */
async function statsOfSteps(
  { engine, kernels }: ReturnType<typeof createEngine>,
  ended: Promise<unknown>,
): Promise<EngineStats[]> {
  const all: Promise<EngineStats>[] = [];
  kernels.onStep = (step) => {
    all.push(engine.stats());
    return step;
  };
  await ended;
  return Promise.all(all);
}

const NO_PAGES = { open: 0, sealed: 0, shared: 0, kept: 0 };

test('an engine that has done nothing has nothing', async () => {
  const { engine, memory } = createEngine();
  const stats = await engine.stats();
  assert.deepEqual(stats.requests, { running: 0, waiting: 0 });
  assert.deepEqual(stats.pages, { tokensPerPage: 32, byState: NO_PAGES, byFormat: [], strip: [] });
  const totalBytes = memory.pool.numUnits * PAGE_UNIT_BYTES;
  assert.deepEqual(stats.memory, { usedBytes: 0, keptBytes: 0, freeBytes: totalBytes, totalBytes });
  assert.equal(stats.kv.format, 'q4');
  // K and V of one layer, one head of 16 channels
  assert.equal(stats.kv.bytesF16PerToken, 64);
  assert.equal(stats.audit, undefined);
  assert.equal(stats.steps, 0);
});

test('pages of a running sequence are open and sealed, and are kept when it ends', async () => {
  const made = createEngine();
  const steps = await statsOfSteps(made, made.run({ promptTokens: letters(150), maxTokens: 3 }));
  const running = steps.at(-1);
  assert.deepEqual(running?.requests, { running: 0, waiting: 0 }); // after the step that ended it
  const before = steps.at(-2);
  assert.deepEqual(before?.requests, { running: 1, waiting: 0 });
  assert.deepEqual(before?.pages.byState, { open: 1, sealed: 4, shared: 0, kept: 0 });
  assert.deepEqual(
    before?.pages.strip
      .filter(({ state }) => state === 'open')
      .map(({ bitsPerElement, users }) => [bitsPerElement, users]),
    [[16, 1]],
  );
  const after = await made.engine.stats();
  assert.deepEqual(after.pages.byState, { ...NO_PAGES, kept: 4 });
  assert.ok(after.memory.usedBytes > 0);
  assert.equal(after.memory.keptBytes, after.memory.usedBytes);
  assert.equal(before?.memory.keptBytes, 0);
  assert.ok(after.pages.strip.every(({ users, format }) => users === 0 && format === 'q4'));
  assert.equal(after.steps, steps.length);
  const { queriedTokens, hitTokens, generatedTokens, endedRequests } = after.counts;
  assert.deepEqual(
    { queriedTokens, hitTokens, generatedTokens, endedRequests },
    { queriedTokens: 150, hitTokens: 0, generatedTokens: 3, endedRequests: 1 },
  );
});

test('bytes of formats add up to what is used, and f16 bytes are those of the same pages unquantized', async () => {
  const made = createEngine();
  await made.run({ promptTokens: letters(100) });
  await made.run({ promptTokens: letters(100), format: made.formats[1], conversation: 1 });
  const { pages, memory } = await made.engine.stats();
  assert.deepEqual(
    pages.byFormat.map(({ format, open, sealed, kept }) => ({ format, open, sealed, kept })),
    [
      { format: 'q4', open: 0, sealed: 0, kept: 3 },
      { format: 'q8', open: 1, sealed: 3, kept: 0 },
    ],
  );
  assert.equal(
    pages.byFormat.reduce((total, { bytes }) => total + bytes, 0),
    memory.usedBytes,
  );
  const [q4, q8] = pages.byFormat;
  const [f16PageBytes, sinkBytes] = [32 * 64, 4 * 64];
  assert.equal(q4.bytesF16, 3 * f16PageBytes + sinkBytes);
  assert.equal(q8.bytesF16, 4 * f16PageBytes + sinkBytes);
  assert.ok(q4.bytes < q4.bytesF16 && q8.bytes < q8.bytesF16);
  assert.equal(q4.bytes - sinkBytes, (3 * 32 * 32 * q4.bitsPerElement) / 8);
});

test('a page is shared while two use it, and the pages of a conversation are its own between turns', async () => {
  const made = createEngine();
  await made.run({ promptTokens: letters(100) });
  const steps = await statsOfSteps(
    made,
    Promise.all([made.run({ promptTokens: letters(100), conversation: 1 }), made.run({ promptTokens: letters(100) })]),
  );
  assert.ok(steps.some(({ pages }) => pages.byState.shared >= 2 && pages.byState.open === 2));
  assert.ok(steps.some(({ pages }) => pages.strip.some(({ users, state }) => users === 2 && state === 'shared')));
  const idle = await made.engine.stats();
  assert.deepEqual(idle.pages.byState, { open: 1, sealed: 3, shared: 0, kept: 0 });
  made.engine.forkConversation(1, 2);
  const forked = await made.engine.stats();
  assert.deepEqual(forked.pages.byState, { open: 2, sealed: 0, shared: 3, kept: 0 });
  for (const conversation of [1, 2]) made.engine.releaseConversation(conversation);
  assert.deepEqual((await made.engine.stats()).pages.byState, { ...NO_PAGES, kept: 3 });
});

test('a tenant sees its own requests, pages and counts, and of all others only used memory', async () => {
  const made = createEngine();
  const { engine } = made;
  await made.run({ promptTokens: letters(150), tenant: 'a' });
  const alone = await engine.stats({ tenant: 'a' });
  const before = await engine.stats({ tenant: 'b' });
  await made.run({ promptTokens: letters(150), tenant: 'b', conversation: 1 });
  await made.run({ promptTokens: letters(150), tenant: 'b', conversation: 1 });
  const seenByA = await engine.stats({ tenant: 'a' });
  assert.deepEqual(seenByA.pages, alone.pages);
  assert.deepEqual(seenByA.counts, alone.counts);
  assert.deepEqual(before.pages.strip, []);
  assert.ok(seenByA.memory.usedBytes > alone.memory.usedBytes);
  const [all, seenByB] = [await engine.stats(), await engine.stats({ tenant: 'b' })];
  assert.equal(seenByB.counts.queriedTokens, 300);
  assert.equal(seenByB.counts.hitTokens, 149);
  assert.equal(all.counts.queriedTokens, 450);
  assert.equal(all.pages.strip.length, seenByA.pages.strip.length + seenByB.pages.strip.length);
});

test('what two tenants share of a public prefix is no sign of the other one', async () => {
  const made = createEngine();
  made.engine.declarePublicPrefix(letters(100));
  await made.run({ promptTokens: letters(100), tenant: 'a', conversation: 1 });
  const alone = await made.engine.stats({ tenant: 'a' });
  await made.run({ promptTokens: letters(100), tenant: 'b', conversation: 2 });
  assert.deepEqual((await made.engine.stats({ tenant: 'a' })).pages, alone.pages);
  const all = await made.engine.stats();
  assert.deepEqual(all.pages.byState, { open: 2, sealed: 0, shared: 3, kept: 0 });
});

test('an abort, running or waiting, is an end, and gives the pages back', async () => {
  const made = createEngine({ sharing: { maxSequences: 1 } });
  const { engine, kernels } = made;
  const running = engine.submit(request({ promptTokens: letters(100), maxTokens: 100 }), NO_EVENTS);
  const waiting = engine.submit(request({ promptTokens: letters(90) }), NO_EVENTS);
  let seen: Promise<EngineStats> | undefined;
  let numSteps = 0;
  kernels.onStep = (step) => {
    if (++numSteps === 5) {
      engine.abort(running.id);
      engine.abort(waiting.id);
      seen = engine.stats();
    }
    return step;
  };
  const results = await Promise.all([running.result, waiting.result]);
  assert.deepEqual(
    results.map(({ finishReason }) => finishReason),
    ['aborted', 'aborted'],
  );
  assert.deepEqual((await seen)?.requests, { running: 0, waiting: 1 });
  const { counts, requests, pages } = await engine.stats();
  assert.deepEqual(requests, { running: 0, waiting: 0 });
  assert.deepEqual({ ...pages.byState, kept: 0 }, NO_PAGES);
  assert.equal(counts.endedRequests, 2);
  assert.equal(counts.queriedTokens, 100); // the other one never started
  assert.equal(counts.generatedTokens, results[0].completionTokens);
});

test('preemptions are counted, a prompt that is computed again is not, and all pages come back', async () => {
  const made = createEngine({ numUnits: 150 });
  const requests = [0, 1, 2, 3].map((i) =>
    made.run({ promptTokens: letters(60, 5 * i), maxTokens: 100, tenant: `t${i % 2}` }),
  );
  const results = await Promise.all(requests);
  const { counts, pages } = await made.engine.stats();
  const preemptions = results.reduce((total, result) => total + result.preemptions, 0);
  assert.ok(preemptions > 0, 'the case needs preemptions');
  assert.equal(counts.preemptions, preemptions);
  assert.equal(counts.queriedTokens, 240);
  assert.equal(
    counts.hitTokens,
    results.reduce((total, { cachedTokens }) => total + cachedTokens, 0),
  );
  assert.equal(counts.generatedTokens, 400);
  assert.deepEqual({ ...pages.byState, kept: 0 }, NO_PAGES);
  const byTenant = await Promise.all(['t0', 't1'].map((tenant) => made.engine.stats({ tenant })));
  assert.equal(
    byTenant.reduce((total, stats) => total + stats.counts.preemptions, 0),
    preemptions,
  );
  made.engine.checkPages();
});

test('a request that fails has ended, too', async () => {
  const made = createEngine({ nanPeriod: 1 });
  await assert.rejects(made.run({}), /are not numbers/);
  const { counts, pages, memory } = await made.engine.stats();
  assert.equal(counts.endedRequests, 1);
  assert.deepEqual(pages.byState, NO_PAGES);
  assert.equal(memory.usedBytes, 0);
});

test('drafts are counted as the result reports them', async () => {
  const { engine } = await loadTinyEngine();
  const promptTokens = [...letters(30), ...letters(30), ...letters(30)];
  const { speculation } = await engine.submit(
    request({ promptTokens, maxTokens: 60, speculate: 'lookup', ignoreEnd: true }),
    NO_EVENTS,
  ).result;
  const { counts } = await engine.stats();
  assert.ok(speculation && speculation.drafted > 0, 'the case needs drafts');
  const { drafts, draftedTokens, acceptedTokens } = counts;
  assert.deepEqual(
    [drafts, draftedTokens, acceptedTokens],
    [speculation.steps, speculation.drafted, speculation.accepted],
  );
});

test('after closing, statistics are refused as everything is', async () => {
  const { engine } = createEngine();
  await engine.close();
  await assert.rejects(engine.stats(), { code: 'ENGINE_CLOSED' });
});

test('the strip has the newest pages where there are too many, and the counts have all', () => {
  const { memory } = createEngine({ numUnits: 5000 });
  const { root } = memory.defaultCache;
  const numPages = MAX_STRIP_PAGES + 4;
  const nodes = Array.from({ length: numPages }, () => {
    return { key: '', parent: '', root, tokens: [], tenant: 'a', page: memory.pool.allocate(1), sinkPage: undefined };
  });
  const { strip, byState } = pageStats(memory, { sequences: [], nodes });
  assert.equal(byState.kept, numPages);
  assert.deepEqual(
    strip.map(({ id }) => id),
    nodes.slice(4).map(({ page }) => page),
  );
});
