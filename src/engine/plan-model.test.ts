import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityCalibration } from '../calibration/testing/identity-calibration.ts';
import { planModel, type PlannedModel } from './plan-model.ts';
import { planLoad, type MemoryPlatform } from './plan-load.ts';
import { machineLimit, WASM_LIMIT } from './testing/memory-demand.ts';
import { loadTinyEngine, openTinyModel } from './testing/tiny-engine.ts';
import { nodePlatform } from './platform-node.ts';

const RUNTIME_BYTES = 50e6;
const PLATFORM: MemoryPlatform = {
  memoryLimits: () => [WASM_LIMIT, machineLimit(1e9)],
  runtimeBytes: () => RUNTIME_BYTES,
  calibrationBytes: (matrixBytes) => 3 * matrixBytes,
};
const OPTIONS: PlannedModel = { kv: undefined, ctx: 2048, threads: 2, backend: 'wasm', maxSequences: 1 };

test('every format has a row, finest first, whose parts add up', async () => {
  const plan = planModel(await openTinyModel(), OPTIONS, PLATFORM);
  assert.deepEqual(
    plan.formats.map(({ kv }) => kv),
    ['f16', 'q8', 'q6', 'q5', 'q4', 'q3', 'q2', 'q1'],
  );
  for (const { memory, runtimeBytes, totalBytes, fits, longestCtx, mostSequences } of plan.formats) {
    assert.equal(runtimeBytes, RUNTIME_BYTES);
    assert.equal(totalBytes, memory.weightBytes + memory.pageBytes + memory.scratchBytes + runtimeBytes);
    assert.ok(fits && longestCtx === plan.contextLength && mostSequences >= 1);
  }
  const bits = plan.formats.map(({ bitsPerElement }) => bitsPerElement);
  assert.ok(bits[0] === 16 && bits.every((value, i) => i === 0 || value < bits[i - 1]));
  assert.equal(plan.choice?.kv, 'q8');
  assert.deepEqual(plan.fixes, []);
});

test('a budget stands in for the machine, and loading with it chooses what the plan chose', async () => {
  const model = await openTinyModel();
  const free = planModel(model, OPTIONS, PLATFORM);
  for (const [index, kv] of [
    [1, 'q8'],
    [2, 'q6'],
    [3, 'q5'],
    [4, 'q4'],
    [5, 'q3'],
    [6, 'q2'],
  ] as const) {
    const memory = free.formats[index].totalBytes;
    const plan = planModel(model, { ...OPTIONS, memory }, { ...PLATFORM, memoryLimits: () => [machineLimit(1)] });
    assert.equal(plan.choice?.kv, kv);
    assert.deepEqual(
      plan.formats.map(({ fits }) => fits),
      free.formats.map(({ totalBytes }) => totalBytes <= memory),
    );
    const loaded = planLoad(model, { ...OPTIONS, kv: 'auto', memory }, PLATFORM);
    assert.equal(loaded.demand.format.name, kv);
    assert.equal(loaded.kvReason, plan.choice?.reason);
    assert.equal(loaded.memory.totalBytes, memory);
  }
});

test('loading is bound by the machine too, whatever the budget', async () => {
  const platform = { ...PLATFORM, memoryLimits: () => [machineLimit(RUNTIME_BYTES)] };
  const model = await openTinyModel();
  assert.throws(() => planLoad(model, { ...OPTIONS, kv: 'auto', memory: 1e12 }, platform), {
    code: 'OUT_OF_MEMORY',
    message: /in q2, but this machine has 50 MB/,
  });
});

test('only formats that are listed are compared and chosen from, f16 as well', async () => {
  const model = await openTinyModel();
  const listed = planModel(model, { ...OPTIONS, kv: ['q4', 'f16'] }, PLATFORM);
  assert.deepEqual(
    listed.formats.map(({ kv }) => kv),
    ['q4', 'f16'],
  );
  assert.equal(listed.choice?.kv, 'f16');
  assert.equal(planModel(model, { ...OPTIONS, kv: ['q4'] }, PLATFORM).choice?.kv, 'q4');
});

test('where nothing fits, nothing is chosen and what would fit is told', async () => {
  const model = await openTinyModel();
  const [q2, q1] = planModel(model, { ...OPTIONS, kv: ['q2', 'q1'] }, PLATFORM).formats;
  const { choice, fixes, formats } = planModel(model, { ...OPTIONS, memory: q1.totalBytes - 1 }, PLATFORM);
  assert.equal(choice, undefined);
  assert.deepEqual(fixes, [{ ctx: formats[6].longestCtx }]);
  assert.ok(formats[6].longestCtx < 2048 && formats[6].longestCtx > 500);
  // Not chosen unless it is asked for, but told.
  const smallest = planModel(model, { ...OPTIONS, memory: q2.totalBytes - 1 }, PLATFORM);
  assert.equal(smallest.choice, undefined);
  assert.deepEqual(smallest.fixes, [{ ctx: smallest.formats[6].longestCtx }, { kv: 'q1' }]);
  assert.equal(planModel(model, { ...OPTIONS, kv: ['q1'], memory: q2.totalBytes - 1 }, PLATFORM).choice?.kv, 'q1');
});

test('with a calibration its matrices count in formats that use them, and loading chooses what the plan chose', async () => {
  const model = await openTinyModel();
  const calibration = identityCalibration(model.hyperparameters);
  const [plain, calibrated] = [undefined, calibration].map((each) => {
    return planModel(model, { ...OPTIONS, calibration: each, kv: ['f16', 'q8', 'q4', 'q2'] }, PLATFORM).formats;
  });
  // Five matrices for each of four heads, in the backend, and what the platform says of them.
  const MATRIX_BYTES = 5 * 4 * 16 * 16 * 4;
  assert.deepEqual(
    calibrated.map(({ totalBytes }, i) => totalBytes - plain[i].totalBytes),
    [0, 0, 4 * MATRIX_BYTES, 4 * MATRIX_BYTES],
  );
  for (const memory of [plain[2].totalBytes, calibrated[2].totalBytes]) {
    const { choice } = planModel(model, { ...OPTIONS, calibration, memory }, PLATFORM);
    const loaded = planLoad(model, { ...OPTIONS, calibration, kv: 'auto', memory }, PLATFORM);
    assert.deepEqual([loaded.demand.format.name, loaded.kvReason], [choice?.kv, choice?.reason]);
    assert.equal(loaded.demand.format.k.transforms, calibration.k);
    assert.ok(loaded.memory.totalBytes <= memory);
  }
});

test('mixes are compared and chosen from where they are listed, and need a calibration', async () => {
  const model = await openTinyModel();
  const kv = ['q2', 'mix6'];
  const calibration = identityCalibration(model.hyperparameters);
  const { choice, formats } = planModel(model, { ...OPTIONS, kv, calibration }, PLATFORM);
  assert.equal(choice?.kv, 'mix6');
  assert.ok(formats[1].bitsPerElement > 5 && formats[1].bitsPerElement <= 6);
  assert.throws(() => planModel(model, { ...OPTIONS, kv }, PLATFORM), {
    code: 'INVALID_OPTION',
    message: /"mix6" needs a calibration/,
  });
});

test('a context beyond the model is refused', async () => {
  const model = await openTinyModel();
  assert.throws(() => planModel(model, { ...OPTIONS, ctx: 2049 }, PLATFORM), {
    code: 'INVALID_OPTION',
    message: /"ctx" must be at most 2,048, the model's context; got 2,049/,
  });
});

test('a loaded model says which format auto took, why, and what was planned', async () => {
  const loaded = await loadTinyEngine({ kv: 'auto' }, { ...nodePlatform, memoryLimits: () => [machineLimit(1e9)] });
  assert.equal(loaded.info.kvFormat, 'q8');
  assert.match(loaded.info.kvReason ?? '', /^the finest, and it needs \d+ MB of 1\.00 GB \(this machine\)$/);
  assert.ok(loaded.info.plannedBytes > loaded.info.memory.pageBytes);
  await loaded.engine.close();
  await loaded.kernels.close();
  const asked = await loadTinyEngine({ kv: 'q4' });
  assert.ok(!('kvReason' in asked.info));
  await asked.kernels.close();
});

test('a draft model is counted in every format: weights, pages in q8, scratch and the runtime of its threads', async () => {
  const runtimeBytes = ({ numThreads }: { numThreads: number }): number => RUNTIME_BYTES + 1e6 * numThreads;
  const platform: MemoryPlatform = { ...PLATFORM, runtimeBytes };
  const alone = planModel(await openTinyModel(), OPTIONS, platform);
  const drafting = planModel(await openTinyModel(), { ...OPTIONS, draft: await openTinyModel() }, platform);
  assert.equal(alone.draftModel, undefined);
  assert.equal(drafting.draftModel, alone.model);
  const q8 = alone.formats.find(({ kv }) => kv === 'q8');
  drafting.formats.forEach((both, i) => {
    const own = alone.formats[i];
    assert.equal(both.memory.weightBytes, 2 * own.memory.weightBytes);
    assert.equal(both.memory.pageBytes, own.memory.pageBytes + (q8?.memory.pageBytes ?? 0));
    assert.ok(both.memory.scratchBytes > own.memory.scratchBytes);
    assert.equal(both.runtimeBytes, own.runtimeBytes + 1e6);
    const { weightBytes, pageBytes, scratchBytes } = both.memory;
    assert.equal(both.totalBytes, weightBytes + pageBytes + scratchBytes + both.runtimeBytes);
  });
});
