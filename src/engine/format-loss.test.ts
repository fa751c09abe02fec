import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveKvFormat } from '../calibration/calibration.ts';
import { identityCalibration } from '../calibration/testing/identity-calibration.ts';
import { lossOf } from './format-loss.ts';

const SHAPE = { numLayers: 4, numKvHeads: 1, headDim: 64 };
const CALIBRATION = identityCalibration(SHAPE);

test('what has fewer bits an element than the default loses accuracy, all else has nothing to say', () => {
  const lossOfName = (name: string) => lossOf(resolveKvFormat(name, SHAPE, CALIBRATION), SHAPE);
  for (const name of ['f16', 'q8', 'q6', 'q5', 'q4', 'k8v4', 'k6v2', 'k8v1', 'mix5'])
    assert.equal(lossOfName(name), '', name);
  for (const name of ['q3', 'q2', 'q1', 'k4v3', 'k5v2', 'mix3', 'mix2.5']) {
    assert.equal(lossOfName(name), '; answers lose accuracy below q4, the default', name);
  }
});
