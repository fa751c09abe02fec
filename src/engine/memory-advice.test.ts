import assert from 'node:assert/strict';
import { test } from 'node:test';
import { identityCalibration } from '../calibration/testing/identity-calibration.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { fixesFor, planMemory } from './memory-advice.ts';
import { fits } from './memory-plan.ts';
import { machineLimit, memoryDemand, WASM_LIMIT } from './testing/memory-demand.ts';

const MACHINE = machineLimit(600e6);

test('what fits is planned, what does not is refused with what is needed, what there is, and what would fit', () => {
  assert.ok(planMemory(memoryDemand('q4', 8192), [WASM_LIMIT, MACHINE]).totalBytes < 600e6);
  assert.throws(() => planMemory(memoryDemand('f16', 100_000), [WASM_LIMIT, MACHINE]), {
    code: 'OUT_OF_MEMORY',
    message:
      /^not enough memory: 2\.56 GB are needed \(weights 98 MB, KV cache 2\.30 GB, scratch \d MB, runtime and threads 150 MB\) for a context of 100,000 tokens in f16, but this machine has 600 MB available; lower ctx to 15,103, or use kv q2; answers lose accuracy below q4, the default$/,
  });
});

test('too many addresses are counted without the runtime, with all scratch', () => {
  const message =
    /3\.\d\d GB are needed \(weights 98 MB, KV cache 3\.\d\d GB, scratch \d\d MB\) .* but the address space/;
  assert.throws(() => planMemory(memoryDemand('f16', 130_000), [{ ...WASM_LIMIT, bytes: 1e9 }]), { message });
});

test('fixes come in order of use, each fits, and a little more would not', () => {
  const demand = memoryDemand('f16', 8192, 4);
  const limits = [WASM_LIMIT, MACHINE];
  const [users, ctx, format, ...rest] = fixesFor(demand, limits);
  assert.deepEqual(rest, []);
  assert.deepEqual([Object.keys(users), Object.keys(ctx), Object.keys(format)], [['maxSequences'], ['ctx'], ['kv']]);
  const { maxSequences = 0 } = users;
  assert.ok(maxSequences >= 1 && maxSequences < 4);
  assert.ok(fits({ ...demand, maxSequences }, limits) && !fits({ ...demand, maxSequences: maxSequences + 1 }, limits));
  const { ctx: shorter = 0 } = ctx;
  assert.ok(fits({ ...demand, ctx: shorter }, limits) && !fits({ ...demand, ctx: shorter + 1 }, limits));
  assert.ok(fits({ ...demand, format: parseKvFormat(format.kv ?? '', 64) }, limits));
});

test('of the other formats the finest that fits as asked is named', () => {
  const at = (bytes: number) => fixesFor(memoryDemand('f16', 8192), [machineLimit(bytes)]).at(-1);
  assert.deepEqual(at(400e6), { kv: 'q8' });
  assert.deepEqual(at(340e6), { kv: 'q6' });
  assert.deepEqual(at(320e6), { kv: 'q5' });
  assert.deepEqual(at(312e6), { kv: 'q4' });
  assert.deepEqual(at(300e6), { kv: 'q3' });
  assert.deepEqual(at(290e6), { kv: 'q2' });
  // Where q1 would fit, which nobody is sent to.
  const both = at(275e6);
  assert.ok(both?.kv === 'q2' && (both.ctx ?? 0) < 8192, JSON.stringify(both));
});

test('the smallest format has no smaller one, and contexts too short to be of use are not named', () => {
  assert.deepEqual(
    fixesFor(memoryDemand('q2', 8192), [machineLimit(270e6)]).map((fix) => Object.keys(fix)),
    [['ctx']],
  );
  assert.deepEqual(fixesFor(memoryDemand('q2', 64), [machineLimit(250e6)]), []);
});

test('a format that loses nothing against the default is advised without a word on accuracy', () => {
  assert.throws(
    () => planMemory(memoryDemand('f16', 8192), [machineLimit(312e6)]),
    /lower ctx to \d,\d+, or use kv q4$/,
  );
});

test('formats that are advised are counted with the matrices of a calibration', () => {
  const demand = memoryDemand('f16', 8192);
  const calibrated = { ...demand, calibration: identityCalibration(demand.hyperparameters) };
  const limits = [machineLimit(306e6)];
  assert.deepEqual(fixesFor(demand, limits).at(-1), { kv: 'q4' });
  assert.deepEqual(fixesFor(calibrated, limits).at(-1), { kv: 'q3' });
});

test('fewer sequences are named by number', () => {
  assert.throws(
    () => planMemory(memoryDemand('q4', 8192, 16), [MACHINE]),
    /for each of 16 sequences, but .*; lower maxSequences to 6, or lower ctx to 3,139, or use kv q2 with ctx 5,763; answers lose accuracy below q4, the default$/,
  );
});

test('where not one sequence has room for such a context, the longest of one alone is named', () => {
  const limits = [machineLimit(280e6)];
  const [alone] = fixesFor(memoryDemand('q4', 8192, 4), limits);
  assert.equal(alone.maxSequences, 1);
  assert.ok(
    fits(memoryDemand('q4', alone.ctx ?? 0), limits) && !fits(memoryDemand('q4', (alone.ctx ?? 0) + 1), limits),
  );
  assert.throws(
    () => planMemory(memoryDemand('q4', 8192, 4), limits),
    /lower maxSequences to 1 with ctx \d,\d+, or lower/,
  );
});

test('where the weights alone are too many, a smaller model is the advice', () => {
  assert.throws(
    () => planMemory(memoryDemand('q4', 8192), [machineLimit(90e6)]),
    /90 MB available; use a smaller model, or a file of it with fewer bits/,
  );
});
