import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../test/random-data.ts';
import { KvantError } from '../errors.ts';
import { f16BitsClamped, f16Value } from '../quant/f16.ts';
import { formatCalibration, parseCalibration, type CalibrationSource } from './calibration-file.ts';

const SHAPE = { numLayers: 2, numKvHeads: 2, headDim: 16 };
const NUM_VALUES = 4 * 256;

function randomHalves(seed: number): Float32Array {
  const normal = normalStream(seed);
  return new Float32Array(NUM_VALUES).map(() => f16Value(f16BitsClamped(normal())));
}

function isBelowDiagonal(i: number): boolean {
  return i % 16 < Math.floor((i % 256) / 16);
}

const SOURCE: CalibrationSource = {
  fingerprint: `sha256:${'0123456789abcdef'.repeat(4)}`,
  shape: SHAPE,
  source: 'a text of 1,024 tokens',
  k: randomHalves(1),
  v: randomHalves(2),
  keyFeedback: randomHalves(3).map((value, i) => (isBelowDiagonal(i) ? value : 0)),
  upgrades: [
    { kind: 'k', layer: 1 },
    { kind: 'v', layer: 0 },
  ],
};

function edited(edit: (file: Record<string, unknown>) => void): string {
  const file = JSON.parse(formatCalibration(SOURCE)) as Record<string, unknown>;
  edit(file);
  return JSON.stringify(file);
}

test('what is written is read again: halves to the bit, with the inverses of the transforms', () => {
  const read = parseCalibration('c.json', formatCalibration(SOURCE));
  assert.deepEqual(read.k.forward, SOURCE.k);
  assert.deepEqual(read.v.forward, SOURCE.v);
  assert.deepEqual(read.keyFeedback, SOURCE.keyFeedback);
  assert.deepEqual(read.upgrades, SOURCE.upgrades);
  assert.deepEqual([read.fingerprint, read.shape, read.source], [SOURCE.fingerprint, SHAPE, SOURCE.source]);
  const { forward, inverse } = read.k;
  const corner = Array.from({ length: 16 }, (_, i) => forward[i] * inverse[16 * i]).reduce(
    (sum, value) => sum + value,
    0,
  );
  assert.ok(Math.abs(corner - 1) < 1e-3);
});

test('files that are damaged, of another version or hostile are refused by name, with what is wrong and what to do', () => {
  const cases: [string, RegExp][] = [
    ['', /it is no JSON/],
    ['{', /it is no JSON/],
    ['[]', /it: /],
    [formatCalibration(SOURCE).slice(0, 500), /it is no JSON/],
    [
      edited((file) => (file['kvantCalibration'] = 2)),
      /kvantCalibration: must be 1, the version that this Kvant reads/,
    ],
    [edited((file) => (file['extra'] = 1)), /Unrecognized key/],
    [edited((file) => (file['keyTransforms'] = 'AAAA')), /keyTransforms has 1\.5 numbers, not 1024/],
    [edited((file) => (file['valueTransforms'] = '!')), /valueTransforms: must be base64/],
    [edited((file) => (file['upgrades'] = ['k2'])), /upgrades name layer 2 of 2/],
    [edited((file) => (file['upgrades'] = ['q1'])), /upgrades\.0: must be k or v and a layer/],
    [edited((file) => (file['keyTransforms'] = btoa('\0'.repeat(2 * NUM_VALUES)))), /a matrix has no inverse/],
    [
      edited((file) => (file['keyTransforms'] = btoa('\0\x7c'.repeat(NUM_VALUES)))),
      /holds a number that is not finite/,
    ],
    [edited((file) => (file['model'] = { ...SHAPE, fingerprint: 'md5:1' })), /model\.fingerprint: must be sha256/],
  ];
  for (const [text, reason] of cases) {
    assert.throws(
      () => parseCalibration('c.json', text),
      (error) =>
        error instanceof KvantError &&
        error.code === 'CALIBRATION_INVALID' &&
        error.message.startsWith('"c.json" is no calibration that can be used: ') &&
        error.message.endsWith('Make it again with "kvant calibrate"') &&
        reason.test(error.message),
      `${reason}`,
    );
  }
});
