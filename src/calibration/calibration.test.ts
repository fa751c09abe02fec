import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bitsPerElement, sealedPageLayout } from '../cache/page-layout.ts';
import { KvantError, type ErrorCode } from '../errors.ts';
import {
  checkCalibration,
  gainsByCalibration,
  isCalibrated,
  needsCalibration,
  resolveKvFormat,
  widerCode,
  type Calibration,
} from './calibration.ts';
import type { CalibrationSource } from './calibration-file.ts';
import { identityCalibration } from './testing/identity-calibration.ts';

const SHAPE = { numLayers: 4, numKvHeads: 1, headDim: 64 };

function calibration(changes: Partial<CalibrationSource> = {}): Calibration {
  return identityCalibration(SHAPE, changes);
}

function assertRefused(act: () => unknown, code: ErrorCode, message: RegExp): void {
  assert.throws(act, (error) => error instanceof KvantError && error.code === code && message.test(error.message));
}

test('formats of 6 bits and fewer take transforms and feedback in place of the rotation, finer ones and f16 sides nothing', () => {
  const learnt = calibration();
  for (const name of ['q6', 'q4', 'q1', 'k8v4', 'k3v6']) {
    const { k, v } = resolveKvFormat(name, SHAPE, learnt);
    assert.deepEqual([k.rotate, v.rotate], [false, false], name);
    assert.deepEqual([k.transforms, v.transforms, k.feedback], [learnt.k, learnt.v, learnt.keyFeedback], name);
  }
  for (const name of ['f16', 'q8', 'k16v8']) {
    assert.equal(isCalibrated(resolveKvFormat(name, SHAPE, learnt)), false, name);
    assert.equal(gainsByCalibration(name), false, name);
  }
  const { k, v } = resolveKvFormat('k16v4', SHAPE, learnt);
  assert.deepEqual([k.transforms, k.feedback, v.transforms], [undefined, undefined, learnt.v]);
});

test('without a calibration formats are what their names say', () => {
  assert.equal(isCalibrated(resolveKvFormat('q4', SHAPE, undefined)), false);
});

test('a mix takes the longest start of the upgrades that fits its budget', () => {
  let before = 0;
  for (const budget of [1.36, 1.5, 2, 2.5, 3.14, 4.5, 6, 8.5]) {
    const format = resolveKvFormat(`mix${budget}`, SHAPE, calibration());
    assert.equal(format.name, `mix${budget}`);
    const bits = bitsPerElement(sealedPageLayout(format, SHAPE));
    assert.ok(bits <= budget && bits >= before, `${bits} bits for ${budget}`);
    // Another upgrade adds at most 2 bits to one of 8 tiles.
    assert.ok(bits > budget - 0.25 || bits > 8.3, `${bits} bits for ${budget}`);
    before = bits;
  }
  const { layerBits } = resolveKvFormat('mix1.5', SHAPE, calibration());
  assert.deepEqual(layerBits?.[0], { k: 2, v: 1 });
  assert.deepEqual(layerBits[1], { k: 1, v: 1 });
});

test('a mix without a calibration, without widths in it, or below one bit is refused with what to do', () => {
  assertRefused(
    () => resolveKvFormat('mix3', SHAPE, undefined),
    'INVALID_OPTION',
    /"mix3" needs a calibration .*kvant calibrate/,
  );
  assertRefused(
    () => resolveKvFormat('mix3', SHAPE, calibration({ upgrades: [] })),
    'INVALID_OPTION',
    /which layers get which bits/,
  );
  assertRefused(() => resolveKvFormat('mix1', SHAPE, calibration()), 'INVALID_OPTION', /take 1\.36 bits an element/);
  assertRefused(() => resolveKvFormat('mixx', SHAPE, calibration()), 'INVALID_OPTION', /unknown KV format "mixx"/);
  assert.deepEqual(['mix2', 'mix2.5', 'mix', 'mix2.', 'q4'].map(needsCalibration), [true, true, false, false, false]);
});

test('a calibration of other weights or another shape is refused, naming both', () => {
  const learnt = calibration();
  checkCalibration(learnt, learnt.fingerprint, SHAPE);
  const other = `sha256:${'b'.repeat(64)}`;
  const message =
    /learnt from other weights, sha256:aaaaaaaa…, than this model's, sha256:bbbbbbbb…: make one of this model/;
  assertRefused(() => checkCalibration(learnt, other, SHAPE), 'CALIBRATION_MISMATCH', message);
  assertRefused(
    () => checkCalibration(learnt, learnt.fingerprint, { ...SHAPE, numLayers: 5 }),
    'CALIBRATION_MISMATCH',
    /other weights/,
  );
});

test('codes widen from 1 to 8 bits and no further', () => {
  assert.deepEqual(([1, 2, 3, 4, 5, 6] as const).map(widerCode), [2, 3, 4, 5, 6, 8]);
  assert.throws(() => widerCode(8), /no code is wider than 8 bits/);
});
