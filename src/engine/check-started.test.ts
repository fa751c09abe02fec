import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sealedPageLayout } from '../cache/page-layout.ts';
import { numSealedPages } from '../cache/sequence-pages.ts';
import { MemoryPageStore } from '../cache/page-store.ts';
import { openModel } from '../model/open-model-node.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { loadEngine, type EnginePlatform, type LoadedEngine, type LoadEngineOptions } from './load-engine.ts';
import { sequenceBytes } from './kv-memory.ts';
import { addUpMemory } from './memory-plan.ts';
import { demandOf } from './plan-load.ts';
import { nodePlatform } from './platform-node.ts';
import { letters, loadTinyEngine, NO_EVENTS, openTinyModel, request } from './testing/tiny-engine.ts';
import type { KvCheck } from './types.ts';
import { wallClockMs } from './wall-clock.ts';

const TINY_MODELS = [
  ...['llama-d64.Q8_0', 'llama-d96.Q4_0', 'llama-d256.Q4_K_M', 'qwen2-d128-keybias.Q6_K', 'qwen3-d128-outliers.Q5_K_M'],
];

const DEFAULTS = { ctx: 1024, threads: 2, backend: 'wasm', maxSequences: 1 } as const;

async function loadNamed(name: string, options: Partial<LoadEngineOptions>): Promise<LoadedEngine> {
  const model = await openModel(`test/models/tiny/${name}.gguf`);
  return loadEngine(model, { ...DEFAULTS, kv: 'q4', requestedAtMs: wallClockMs(), ...options }, nodePlatform);
}

async function checkOf(loading: Promise<LoadedEngine>): Promise<KvCheck> {
  const { kernels, info } = await loading;
  await kernels.close();
  assert.ok(info.kvCheck);
  return info.kvCheck;
}

function suffering({ layers }: KvCheck): number[] {
  return layers.filter(({ suffers }) => suffers.length > 0).map(({ layer }) => layer);
}

for (const name of TINY_MODELS) {
  test(`${name}: no layer suffers at 4 and 8 bits, some do at 2 and all at 1`, async () => {
    const [q8, q4, q2, q1] = await Promise.all(
      ['q8', 'q4', 'q2', 'q1'].map((kv) => checkOf(loadNamed(name, { kv, checkKv: 'warn' }))),
    );
    for (const check of [q8, q4]) {
      assert.deepEqual(suffering(check), []);
      assert.equal(check.suggestedKv, undefined);
      assert.ok(check.estimatedKld < 0.005, `${check.estimatedKld}`);
    }
    assert.ok(q2.estimatedKld > 0.015 && q1.estimatedKld > q2.estimatedKld);
    assert.ok(suffering(q2).length > 0 && q2.suggestedKv !== undefined);
    assert.deepEqual(
      suffering(q1),
      q1.layers.map(({ layer }) => layer),
    );
    assert.deepEqual([q2.raised, q2.numTokens, q2.numTextTokens], [[], 260, 260]);
  });
}

describe('what is hard about keys is told', () => {
  test('outlier channels and a key bias are seen in the models that have them', async () => {
    const [plain, outliers, bias] = await Promise.all(
      [TINY_MODELS[0], TINY_MODELS[4], TINY_MODELS[3]].map((name) => checkOf(loadNamed(name, { checkKv: 'warn' }))),
    );
    const most = ({ layers }: KvCheck, name: 'keyOutlier' | 'keyBias'): number =>
      Math.max(...layers.map((l) => l[name]));
    assert.ok(most(plain, 'keyOutlier') < 4 && most(plain, 'keyBias') < 8);
    assert.ok(most(outliers, 'keyOutlier') > 15, `${most(outliers, 'keyOutlier')}`);
    assert.ok(most(bias, 'keyBias') > 40, `${most(bias, 'keyBias')}`);
  });
});

describe('raise', () => {
  test('gives layers that suffer as many bits as they need, and counts their memory', async () => {
    const name = 'qwen3-d128-outliers.Q5_K_M';
    const loaded = await loadNamed(name, { kv: 'q2', checkKv: 'raise' });
    const { info, kernels } = loaded;
    const { kvCheck: check } = info;
    assert.ok(check);
    assert.deepEqual(suffering(check), []);
    assert.ok(check.raised.length > 0);
    for (const before of check.raised) {
      const after = check.layers[before.layer];
      assert.ok(after.kBits > 2 || after.vBits > 2);
      assert.ok(before.suffers.length > 0 && after.outputError < before.outputError, `layer ${before.layer}`);
    }
    const { format, shape } = kernels.config;
    assert.equal(info.kvFormat, `q2 (${check.raised.length} layers raised)`);
    assert.deepEqual(
      format.layerBits,
      check.layers.map(({ kBits, vBits }) => ({ k: kBits, v: vBits })),
    );
    assert.ok(check.bitsPerElementBefore < 2.3 && check.bitsPerElement > 2.5 && check.bitsPerElement < 4.3);

    const model = await openModel(`test/models/tiny/${name}.gguf`);
    const demand = { ...demandOf(model, 'q2', DEFAULTS, nodePlatform), format };
    await model.file.close();
    const plan = addUpMemory(demand);
    assert.equal(info.plannedBytes, plan.totalBytes);
    assert.equal(info.memory.pageBytes, plan.memory.pageBytes);
    const q2 = parseKvFormat('q2', shape.headDim);
    const [raisedPage, q2Page] = [format, q2].map((each) => sealedPageLayout(each, shape).pageBytes);
    assert.equal(
      plan.memory.pageBytes - addUpMemory({ ...demand, format: q2 }).memory.pageBytes,
      numSealedPages(format, DEFAULTS.ctx) * (raisedPage - q2Page),
    );
    const { result } = loaded.engine.submit(request({ promptTokens: letters(200), maxTokens: 3 }), NO_EVENTS);
    const { kv } = await result;
    assert.equal(kv.format, info.kvFormat);
    assert.ok(kv.tokens > 200 && kv.bitsPerElement > check.bitsPerElement);
    loaded.engine.checkPages();
    await kernels.close();
  });

  test('changes nothing where no layer suffers', async () => {
    const loaded = await loadNamed('llama-d64.Q8_0', { kv: 'q4', checkKv: 'raise' });
    const { kvFormat, kvCheck } = loaded.info;
    assert.deepEqual([kvFormat, kvCheck?.raised], ['q4', []]);
    assert.equal(loaded.kernels.config.format.layerBits, undefined);
    await loaded.kernels.close();
  });

  test('is refused where the raised format does not fit, before it is loaded', async () => {
    const model = await openModel('test/models/tiny/llama-d96.Q4_0.gguf');
    const demand = demandOf(model, 'q2', DEFAULTS, nodePlatform);
    const memory = addUpMemory(demand).totalBytes + 1000;
    const options = { ...DEFAULTS, kv: 'q2', memory, checkKv: 'raise', requestedAtMs: wallClockMs() } as const;
    await assert.rejects(loadEngine(model, options, nodePlatform), {
      code: 'OUT_OF_MEMORY',
      message: /1,024 tokens in q2 \(4 layers raised\), but the memory budget has .*; lower ctx to/,
    });
  });
});

test('a check leaves nothing behind: pages are free, and answers have the same bits', async () => {
  const runs = [];
  for (const checkKv of [undefined, 'warn'] as const) {
    const { engine, kernels, info } = await loadTinyEngine({ kv: 'q2', backend: 'wasm', ...(checkKv && { checkKv }) });
    engine.checkPages();
    const rows: Float32Array[] = [];
    const events = { ...NO_EVENTS, onLogProbs: (_: number, row: Float32Array) => void rows.push(row) };
    const promptTokens = letters(300);
    const asked = request({ promptTokens, maxTokens: 5, logProbsAt: [0, 100, 299] });
    runs.push({ tokens: (await engine.submit(asked, events).result).tokenIds, rows });
    assert.equal(info.kvCheck === undefined, checkKv === undefined);
    await kernels.close();
  }
  assert.deepEqual(runs[1], runs[0]);
});

test('nothing is measured where nothing is quantized, or no page is ever full', async () => {
  const f16 = await checkOf(loadTinyEngine({ kv: 'f16', checkKv: 'raise' }));
  assert.equal(f16.skipped, 'f16 quantizes nothing');
  const short = await checkOf(loadTinyEngine({ kv: 'q1', ctx: 68, checkKv: 'warn' }));
  assert.equal(short.skipped, 'a context of 68 tokens has no room for a page of 64 that is quantized');
  assert.deepEqual([short.layers, short.bitsPerElement > 1], [[], true]);
  const enough = await checkOf(loadTinyEngine({ kv: 'q1', ctx: 69, checkKv: 'warn' }));
  assert.deepEqual([enough.skipped, enough.numTokens, enough.layers.length], [undefined, 69, 2]);
});

test('a check runs as much text as the page memory holds', async () => {
  const { hyperparameters } = await openTinyModel();
  const kvMemory = (numTokens: number) =>
    sequenceBytes(parseKvFormat('q1', hyperparameters.headDim), hyperparameters, numTokens);
  const check = await checkOf(loadTinyEngine({ kv: 'q1', kvMemory: kvMemory(140), checkKv: 'warn' }));
  assert.deepEqual([check.skipped, check.numTokens], [undefined, 4 + 3 * 64 - 1]);
  const short = await checkOf(loadTinyEngine({ kv: 'q1', kvMemory: kvMemory(60), checkKv: 'warn' }));
  assert.equal(short.skipped, 'a context of 67 tokens has no room for a page of 64 that is quantized');
});

test('engines that are started for a check have no second tier: the one that goes on has it, and closes it', async () => {
  const stores: { isClosed: boolean }[] = [];
  const platform: EnginePlatform = {
    ...nodePlatform,
    createPageStore({ maxBytes }) {
      const store = new MemoryPageStore(maxBytes);
      const told = { isClosed: false };
      stores.push(told);
      return Object.assign(store, { close: () => void (told.isClosed = true) });
    },
  };
  const swap = { kind: 'memory', maxBytes: 1e6 } as const;
  const { engine, kernels, info } = await loadTinyEngine({ kv: 'q1', checkKv: 'raise', swap }, platform);
  assert.ok(info.kvCheck && info.kvCheck.raised.length > 0);
  assert.deepEqual(stores, [{ isClosed: false }]);
  await engine.close();
  assert.deepEqual(stores, [{ isClosed: true }]);
  await kernels.close();
});
