import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveKvFormat } from '../calibration/calibration.ts';
import { identityCalibration } from '../calibration/testing/identity-calibration.ts';
import { chooseFormat } from './choose-format.ts';
import { addUpMemory, fits } from './memory-plan.ts';
import { machineLimit, memoryDemand, WASM_LIMIT } from './testing/memory-demand.ts';

const DEMAND = memoryDemand('f16', 8192);

test('auto takes q8 where there is room, never f16, and goes down as memory demands, never to q1', () => {
  const at = (bytes: number) => chooseFormat(DEMAND, [WASM_LIMIT, machineLimit(bytes)]);
  assert.match(at(2e9).reason, /^the finest, and it needs 351 MB of 2\.00 GB \(this machine\)$/);
  assert.match(
    at(312e6).reason,
    /^the finest that fits: it needs 305 MB of 312 MB \(this machine\); q5 would need 316 MB of 312 MB \(this machine\)$/,
  );
  const LADDER = [
    [2e9, 'q8'],
    [352e6, 'q8'],
    [351e6, 'q6'],
    [328e6, 'q6'],
    [327e6, 'q5'],
    [317e6, 'q5'],
    [316e6, 'q4'],
    [305e6, 'q4'],
    [304e6, 'q3'],
    [293e6, 'q3'],
    [292e6, 'q2'],
    [282e6, 'q2'],
  ] as const;
  for (const [bytes, kv] of LADDER) {
    const { format, fits: isSaidToFit } = at(bytes);
    assert.equal(format.name, kv);
    assert.ok(isSaidToFit && fits({ ...DEMAND, format }, [machineLimit(bytes)]));
  }
  // Where q1 would fit.
  const { format, fits: isSaidToFit } = at(275e6);
  assert.ok(fits(memoryDemand('q1', 8192), [machineLimit(275e6)]));
  assert.deepEqual([format.name, isSaidToFit], ['q2', false]);
});

test('where nothing fits it is the smallest, which is said not to', () => {
  const choice = chooseFormat(DEMAND, [machineLimit(1e8)]);
  assert.deepEqual([choice.format.name, choice.fits, choice.reason], ['q2', false, 'no format fits']);
});

test('the reason names what the process may take, and what a finer format breaks', () => {
  const addresses = { ...WASM_LIMIT, bytes: 215e6 };
  const { format, reason } = chooseFormat(DEMAND, [addresses, machineLimit(1e12), machineLimit(1e11)]);
  assert.equal(format.name, 'q6');
  assert.match(
    reason,
    /it needs 3\d\d MB of 100\.00 GB \(this machine\); q8 would need 2\d\d MB of 215 MB \(the address[^;]*$/,
  );
});

test('a format below the default is chosen with a word on what it costs', () => {
  const reasonAt = (bytes: number) => chooseFormat(DEMAND, [machineLimit(bytes)]).reason;
  for (const bytes of [300e6, 285e6]) {
    assert.match(reasonAt(bytes), /\(this machine\); answers lose accuracy below q4, the default$/);
  }
  assert.doesNotMatch(reasonAt(312e6), /accuracy/);
});

test('what a calibration multiplies heads with counts, in formats that use it only', () => {
  const { hyperparameters } = DEMAND;
  const calibration = identityCalibration(hyperparameters);
  const calibrated = { ...DEMAND, calibration };
  const q4 = addUpMemory({ ...DEMAND, format: resolveKvFormat('q4', hyperparameters, calibration) });
  // Five matrices for each of 90 heads.
  assert.equal(q4.totalBytes - addUpMemory(memoryDemand('q4', 8192)).totalBytes, 5 * 90 * 64 * 64 * 4);
  const limits = [machineLimit(q4.totalBytes - 1)];
  assert.equal(chooseFormat(DEMAND, limits).format.name, 'q4');
  assert.equal(chooseFormat(calibrated, limits).format.name, 'q3');
  const chosen = chooseFormat(calibrated, [machineLimit(q4.totalBytes)]).format;
  assert.equal(chosen.name, 'q4');
  // Not deepEqual: it would take minutes to print how such matrices differ.
  assert.ok(chosen.k.transforms === calibration.k);
  assert.ok(chooseFormat(calibrated, [machineLimit(352e6)]).format.k.transforms === undefined);
});

test('mixes are chosen from where they are listed', () => {
  const { hyperparameters } = DEMAND;
  const calibrated = { ...DEMAND, calibration: identityCalibration(hyperparameters) };
  const { format, reason } = chooseFormat(calibrated, [machineLimit(300e6)], ['q4', 'mix3', 'q2']);
  assert.equal(format.name, 'mix3');
  assert.match(reason, /q4 would need .*; answers lose accuracy below q4, the default$/);
});
