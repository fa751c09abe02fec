import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Auditor } from './auditor.ts';
import type { LoadedEngine } from './load-engine.ts';
import { nodePlatform } from './platform-node.ts';
import type { EnginePlatform } from './load-engine.ts';
import type { EngineRequest } from './request.ts';
import type { AuditStats } from './stats-types.ts';
import { letters, loadTinyEngine, NO_EVENTS, request } from './testing/tiny-engine.ts';

function run({ engine }: LoadedEngine, asked: Partial<EngineRequest> = {}) {
  const whole = request({ promptTokens: letters(90), maxTokens: 20, ignoreEnd: true, ...asked });
  return engine.submit(whole, NO_EVENTS).result;
}

/** Once the engine has so many audits, done or skipped. */
async function audits({ engine }: LoadedEngine, number: number, tenant?: string): Promise<AuditStats> {
  for (;;) {
    const { audit } = await engine.stats(tenant === undefined ? {} : { tenant });
    if (!audit) throw new Error('the engine audits nothing');
    if (audit.count + audit.skipped >= number) return audit;
    await new Promise(setImmediate);
  }
}

async function kldOf(kv: string): Promise<number> {
  const loaded = await loadTinyEngine({ kv, auditEvery: 1 });
  await run(loaded);
  const { count, meanKld, lastKld, recentKlds } = await audits(loaded, 1);
  assert.equal(count, 1);
  assert.equal(meanKld, lastKld);
  assert.deepEqual(recentKlds, [lastKld]);
  return meanKld ?? Number.NaN;
}

test('fewer bits have a larger KLD, and f16 is skipped', async () => {
  const [q8, q4, q2] = [await kldOf('q8'), await kldOf('q4'), await kldOf('q2')];
  assert.ok(q8 > 0 && q8 < q4 && q4 < q2, `${q8}, ${q4}, ${q2}`);
  const exact = await loadTinyEngine({ kv: 'f16', auditEvery: 1 });
  await run(exact);
  const { count, skipped, meanKld } = await audits(exact, 1);
  assert.deepEqual({ count, skipped, meanKld }, { count: 0, skipped: 1, meanKld: undefined });
});

test('it is the KLD of the answer in the two formats, computed apart', async () => {
  const loaded = await loadTinyEngine({ auditEvery: 2, ctx: 512 });
  const { tokenIds } = await run(loaded);
  const tokens = [...letters(90), ...tokenIds.slice(0, -1)];
  const positions = Array.from({ length: tokenIds.length }, (_, i) => 89 + i);
  const rowsOf = async (kv: string): Promise<Float32Array[]> => {
    const rows: Float32Array[] = [];
    const format = await loaded.formats.get(kv);
    const asked = request({ promptTokens: tokens, maxTokens: 0, logProbsAt: positions, format });
    const events = { ...NO_EVENTS, onLogProbs: (_: number, row: Float32Array) => rows.push(row) };
    await loaded.engine.submit(asked, events).result;
    return rows;
  };
  const [exact, quantized] = [await rowsOf('f16'), await rowsOf('q4')];
  let sum = 0;
  exact.forEach((row, i) => row.forEach((logProb, id) => (sum += Math.exp(logProb) * (logProb - quantized[i][id]))));
  // The second request had no answer; the fourth is the first one again.
  await run(loaded);
  const { lastKld, count } = await audits(loaded, 2);
  assert.equal(count, 1);
  assert.ok(Math.abs((lastKld ?? 0) - sum / positions.length) < 1e-12, `${lastKld}, ${sum / positions.length}`);
});

test('one request in so many is audited, of all tenants together, and a tenant hears of its own', async () => {
  const loaded = await loadTinyEngine({ auditEvery: 3, maxSequences: 2 });
  for (const [i, tenant] of ['a', 'b', 'b', 'a', 'a', 'a'].entries()) {
    await run(loaded, { tenant, promptTokens: letters(90, i) });
    await audits(loaded, Math.floor((i + 1) / 3));
  }
  const all = await audits(loaded, 2);
  const [a, b, c] = await Promise.all(
    ['a', 'b', 'c'].map(async (tenant) => audits(loaded, tenant === 'c' ? 0 : 1, tenant)),
  );
  assert.deepEqual([all.every, all.count, a.count, b.count, c.count], [3, 2, 1, 1, 0]);
  assert.deepEqual(all.recentKlds, [b.lastKld, a.lastKld]);
  assert.ok(Math.abs((all.meanKld ?? 0) - ((a.lastKld ?? 0) + (b.lastKld ?? 0)) / 2) < 1e-15);
  assert.equal(c.meanKld, undefined);
});

/** A platform whose kernels tell when a step is finished. */
function platformWith(onStep: () => void): EnginePlatform {
  return {
    ...nodePlatform,
    async createKernels(backend, config) {
      const kernels = await nodePlatform.createKernels(backend, config);
      const finishStep = kernels.finishStep.bind(kernels);
      kernels.finishStep = async () => {
        await finishStep();
        onStep();
      };
      return kernels;
    },
  };
}

test('a request that comes during an audit is served in the next step, and the audit goes on afterwards', async () => {
  let onStep = (): void => undefined;
  const loaded = await loadTinyEngine(
    { auditEvery: 2 },
    platformWith(() => onStep()),
  );
  const { engine } = loaded;
  await run(loaded);
  await run(loaded);
  const steps: string[] = [];
  let served: Promise<unknown> | undefined;
  onStep = () => {
    steps.push(served ? 'after' : 'audit');
    if (steps.length !== 2) return;
    const events = { ...NO_EVENTS, onStart: () => void steps.push('starts') };
    served = engine.submit(request({ promptTokens: letters(100, 9), maxTokens: 3 }), events).result;
  };
  while (!served) await new Promise(setImmediate);
  await served;
  const { audit, requests, steps: numSteps } = await engine.stats();
  assert.deepEqual(requests, { running: 0, waiting: 0 });
  assert.deepEqual(steps.slice(0, 3), ['audit', 'audit', 'starts']);
  assert.equal(audit?.count, 0, 'the audit was still under way');
  assert.equal((await audits(loaded, 1)).count, 1);
  assert.equal((await engine.stats()).steps, numSteps, 'steps of an audit are no steps of requests');
});

test('an audit takes no page of the cache and evicts none, and gives its own back', async () => {
  const plain = await loadTinyEngine();
  await run(plain);
  const loaded = await loadTinyEngine({ auditEvery: 1 });
  await run(loaded);
  await audits(loaded, 1);
  const [expected, stats] = [await plain.engine.stats(), await loaded.engine.stats()];
  assert.deepEqual(stats.pages, expected.pages);
  assert.deepEqual(stats.memory, expected.memory);
  assert.deepEqual(stats.counts, expected.counts);
  loaded.engine.checkPages();
});

test('a request that ends while an audit is under way, or has nothing to compare, is skipped; an aborted one does not count', async () => {
  const loaded = await loadTinyEngine({ auditEvery: 1, maxSequences: 2 });
  await Promise.all([run(loaded), run(loaded, { promptTokens: letters(90, 3) })]);
  const both = await audits(loaded, 2);
  assert.deepEqual([both.count, both.skipped], [1, 1]);
  await run(loaded, { promptTokens: letters(5), maxTokens: 4 });
  const { id, result } = loaded.engine.submit(request({ promptTokens: letters(90) }), NO_EVENTS);
  loaded.engine.abort(id);
  await result;
  const after = await audits(loaded, 3);
  assert.deepEqual([after.count, after.skipped], [1, 2]);
});

test('the plan counts the pages of audits, and closing ends one that is under way', async () => {
  const [plain, loaded] = [await loadTinyEngine(), await loadTinyEngine({ auditEvery: 1 })];
  const planned = loaded.info.plannedBytes - plain.info.plannedBytes;
  assert.ok(planned > 0);
  assert.equal(loaded.info.memory.pageBytes - plain.info.memory.pageBytes, planned);
  await run(loaded);
  await loaded.engine.close();
  await assert.rejects(loaded.engine.stats(), { code: 'ENGINE_CLOSED' });
});

test('steps of an audit get shorter where they take long, and longer where they do not; pages come back at the end', async () => {
  const { kernels, formats, memory } = await loadTinyEngine({ maxSequences: 2 });
  const clock = { ms: 0, stepMs: 0 };
  const numRows: number[] = [];
  const width = 40;
  const rows = new Float32Array(width);
  const model = {
    logits: { width, rows: 'output' } as never,
    forward: async ({ tokenIds }: { readonly tokenIds: readonly number[] }) => {
      numRows.push(tokenIds.length);
      clock.ms += clock.stepMs;
    },
  };
  const fake = new Proxy(kernels, {
    get: (target, name: keyof typeof kernels) => {
      if (name === 'readRow') return () => rows;
      const value: unknown = target[name];
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const reference = await formats.get('f16');
  const auditor = new Auditor({ kernels: fake, model, reference, every: 1, numBytes: 2 ** 20, now: () => clock.ms });
  const { format } = memory.defaultCache;
  auditor.answered({ tokens: letters(400), numPromptTokens: 300, format, tenant: 'a' });
  for (const stepMs of [10, 10, 10, 10, 40, 90, 90, 90, 90, 90, 90, 10]) {
    clock.stepMs = stepMs;
    await auditor.step();
    auditor.checkPages();
  }
  // The fifth and the sixth step end at the pages' ends: 64 in f16, 68 in q4.
  assert.deepEqual(numRows, [8, 16, 32, 64, 8, 8, 32, 16, 8, 4, 2, 2]);
  clock.stepMs = 0;
  numRows.length = 0;
  while (auditor.hasWork) await auditor.step();
  // What is compared, from position 335 to 398, has a pace of its own; pages end at 384 in f16 and 388 in q4.
  assert.deepEqual(numRows.slice(0, 3), [4, 8, 16]);
  assert.deepEqual(numRows.slice(-6), [8, 16, 32, 42, 8, 22]);
  auditor.checkPages();
  assert.equal(auditor.stats().lastKld, 0);
});
