import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../quant/kv-format.ts';
import { calibratedFormat, checkCalibration, type Calibration } from './calibration.ts';

const SHAPE = { numLayers: 2, numKvHeads: 1, headDim: 16 };
const transforms = { headDim: 16, forward: new Float32Array(512), inverse: new Float32Array(512) };
const CALIBRATION: Calibration = {
  fingerprint: 'sha256:0123456789abcdef',
  shape: SHAPE,
  source: 'a text',
  k: transforms,
  v: { ...transforms },
  keyFeedback: new Float32Array(512),
  upgrades: [],
};

test('a calibration of other weights or another shape is refused, saying which and what to do', () => {
  checkCalibration(CALIBRATION, CALIBRATION.fingerprint, SHAPE);
  const refuses = (fingerprint: string, shape: typeof SHAPE): void => {
    assert.throws(() => checkCalibration(CALIBRATION, fingerprint, shape), {
      name: 'KvantError',
      code: 'CALIBRATION_MISMATCH',
      message:
        /^the calibration \(a text\) belongs to other weights, sha256:01234567\.\.\., than .*: make one of this model with kvant calibrate, or load without it$/,
    });
  };
  refuses('sha256:ffff', SHAPE);
  for (const name of ['numLayers', 'numKvHeads', 'headDim'] as const) {
    refuses(CALIBRATION.fingerprint, { ...SHAPE, [name]: SHAPE[name] + 1 });
  }
});

test('what was learnt takes the place of the rotation, and leaves sides of 16 bits as they are', () => {
  const { k, v } = calibratedFormat(parseKvFormat('k4v2', 16), CALIBRATION);
  assert.deepEqual(k, { bits: 4, rotate: false, transforms: CALIBRATION.k, feedback: CALIBRATION.keyFeedback });
  assert.deepEqual(v, { bits: 2, rotate: false, transforms: CALIBRATION.v });
  for (const name of ['f16', 'k16v4', 'k4v16']) {
    const format = parseKvFormat(name, 16);
    const calibrated = calibratedFormat(format, CALIBRATION);
    for (const kind of ['k', 'v'] as const) {
      if (format[kind].bits === 16) assert.deepEqual(calibrated[kind], format[kind]);
      else assert.ok(calibrated[kind].transforms);
    }
  }
});
