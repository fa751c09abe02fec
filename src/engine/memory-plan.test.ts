import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16PageLayout, PAGE_UNIT_BYTES, sealedPageLayout } from '../cache/page-layout.ts';
import { rootKey } from '../cache/prefix-key.ts';
import { createWasmKernels } from '../kernels/wasm/create-wasm-kernels-node.ts';
import { loadWeights } from '../model/weights.ts';
import { Transformer } from '../model/transformer.ts';
import { ropeFrequencies } from '../model/rope.ts';
import { addUpMemory, brokenLimit, chooseCtx, fits, longestCtx, mostSequences } from './memory-plan.ts';
import { KvMemory } from './kv-memory.ts';
import { keptWeightBytes } from './scratch-memory.ts';
import { machineLimit, memoryDemand, WASM_LIMIT } from './testing/memory-demand.ts';
import { openTinyModel } from './testing/tiny-engine.ts';

test('the context is what was asked for, the model own by default, and never more than the model has', () => {
  assert.equal(chooseCtx(undefined, 2048), 2048);
  assert.equal(chooseCtx(undefined, 131_072), 8192);
  assert.equal(chooseCtx(131_072, 131_072), 131_072);
  assert.throws(() => chooseCtx(8193, 8192), {
    code: 'INVALID_OPTION',
    message: `option "ctx" must be at most 8,192, the model's context; got 8,193`,
  });
});

test('pages are counted in full for every sequence: sealed ones, an open one and a sink page', () => {
  for (const [kv, numSealed] of [
    ['q4', 127],
    ['f16', 128],
  ] as const) {
    const { format, hyperparameters } = memoryDemand(kv, 8192);
    const { arenaBytes, memory, maxRows, runtimeBytes, totalBytes } = addUpMemory(memoryDemand(kv, 8192, 3));
    assert.equal(maxRows, 3 * (64 + format.numSinkTokens));
    const sealed = sealedPageLayout(format, hyperparameters).pageBytes;
    const open = f16PageLayout(64, hyperparameters).pageBytes;
    const sink = kv === 'q4' ? f16PageLayout(4, hyperparameters).pageBytes : 0;
    assert.equal(memory.pageBytes, 3 * (numSealed * sealed + open + sink));
    assert.equal(arenaBytes, memory.pageBytes);
    assert.equal(memory.weightBytes, 98_000_000);
    assert.equal(totalBytes, memory.weightBytes + memory.pageBytes + memory.scratchBytes + runtimeBytes);
  }
});

test('a step has a row for every sequence, and no more than 256 unless there are more sequences', () => {
  assert.equal(addUpMemory(memoryDemand('q4', 100, 1)).maxRows, 68);
  assert.equal(addUpMemory(memoryDemand('q4', 100, 32)).maxRows, 256);
  assert.equal(addUpMemory(memoryDemand('q4', 100, 256)).maxRows, 256);
});

test('a context that fills no page has an open page and a sink page', () => {
  const { hyperparameters } = memoryDemand('q4', 1);
  const [open, sink] = [64, 4].map((numTokens) => f16PageLayout(numTokens, hyperparameters).pageBytes);
  for (const ctx of [1, 67]) assert.equal(addUpMemory(memoryDemand('q4', ctx)).arenaBytes, open + sink);
  assert.ok(addUpMemory(memoryDemand('q4', 68)).arenaBytes > open + sink);
});

test('page memory of a given size takes the place of whole contexts, whatever the context is', () => {
  const demand = { ...memoryDemand('q4', 8192, 16), kvMemoryBytes: 64e6 };
  const { arenaBytes, memory, totalBytes, reservedBytes } = addUpMemory(demand);
  assert.deepEqual([arenaBytes, memory.pageBytes], [64e6, 64e6]);
  const whole = addUpMemory({ ...demand, kvMemoryBytes: undefined });
  assert.ok(whole.arenaBytes > 64e6);
  assert.equal(whole.totalBytes - totalBytes, whole.arenaBytes - 64e6);
  assert.equal(whole.reservedBytes - reservedBytes, whole.arenaBytes - 64e6);
});

test('addresses count all logits, resident memory only those that are computed', () => {
  const { memory, reservedBytes } = addUpMemory(memoryDemand('q4', 8192));
  const LOGIT_ROW = 49_152 * 4;
  const reserved = reservedBytes - memory.weightBytes - memory.pageBytes;
  assert.ok(reserved - memory.scratchBytes > 67 * LOGIT_ROW, `${reserved} reserved, ${memory.scratchBytes} resident`);
  assert.ok(memory.scratchBytes > LOGIT_ROW);
});

test('the limit that is broken by most is named; addresses and resident memory are limited apart', () => {
  const plan = addUpMemory(memoryDemand('f16', 100_000));
  assert.equal(brokenLimit(plan, [WASM_LIMIT, machineLimit(3e9)]), undefined);
  const small = machineLimit(500e6);
  assert.equal(brokenLimit(plan, [WASM_LIMIT, small, machineLimit(600e6)]), small);
  const addresses = { ...WASM_LIMIT, bytes: plan.reservedBytes - 1 };
  assert.equal(brokenLimit(plan, [addresses]), addresses);
  assert.equal(brokenLimit(plan, [{ ...addresses, bytes: plan.reservedBytes }]), undefined);
});

test('the longest context and the most sequences fit, and one more does not', () => {
  const limits = [WASM_LIMIT, machineLimit(600e6)];
  const demand = memoryDemand('q4', 2000);
  const ctx = longestCtx(demand, limits, 100_000);
  assert.ok(ctx > 2000 && fits({ ...demand, ctx }, limits) && !fits({ ...demand, ctx: ctx + 1 }, limits));
  const maxSequences = mostSequences(demand, limits);
  assert.ok(fits({ ...demand, maxSequences }, limits) && !fits({ ...demand, maxSequences: maxSequences + 1 }, limits));
  assert.equal(longestCtx(demand, limits, 100), 100);
  assert.equal(mostSequences(demand, [machineLimit(1e12)]), 256);
  assert.deepEqual([longestCtx(demand, [machineLimit(1e8)], 100), mostSequences(demand, [machineLimit(1e8)])], [0, 0]);
});

test('weights and pages take exactly what was planned, scratch within 2%', async () => {
  const model = await openTinyModel();
  const { hyperparameters } = model;
  for (const [kv, ctx, maxSequences] of [
    ['q4', 2048, 1],
    ['f16', 300, 5],
  ] as const) {
    const weightBytes = keptWeightBytes(model, 'wasm');
    const demand = { ...memoryDemand(kv, ctx, maxSequences), hyperparameters, weightBytes };
    const { format } = memoryDemand(kv, ctx);
    const plan = addUpMemory(demand);
    const kernels = await createWasmKernels({
      shape: hyperparameters,
      numHeads: hyperparameters.numHeads,
      ropeFrequencies: ropeFrequencies(hyperparameters),
      maxContext: ctx,
      maxRows: plan.maxRows,
      numThreads: demand.numThreads,
      format,
    });
    try {
      const weights = await loadWeights(kernels, model);
      const memory = new KvMemory(kernels, { numBytes: plan.arenaBytes, root: rootKey({}) });
      assert.equal(memory.pool.numUnits * PAGE_UNIT_BYTES, plan.arenaBytes);
      assert.ok(new Transformer(kernels, weights, hyperparameters));
      const taken = kernels.memoryUsage();
      assert.equal(plan.memory.weightBytes, taken.weightBytes);
      assert.equal(plan.memory.pageBytes, taken.pageBytes);
      const reserved = plan.reservedBytes - taken.weightBytes - taken.pageBytes;
      assert.ok(Math.abs(reserved / taken.scratchBytes - 1) < 0.02, `${reserved} planned, ${taken.scratchBytes} taken`);
    } finally {
      await kernels.close();
    }
  }
});
