import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { WeightType } from '../weight-types.ts';
import { WEIGHT_TYPES } from '../weight-types.ts';
import { dequantize } from './dequantize.ts';

interface Vectors {
  readonly numRows: number;
  readonly numCols: number;
  readonly types: Record<WeightType, { readonly bytes: string; readonly values: string }>;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../test/reference/weight-types.json', import.meta.url), 'utf8'),
) as Vectors;

for (const type of Object.keys(WEIGHT_TYPES) as WeightType[]) {
  test(`${type}: the same float32 values, to the bit, as ggml's own Python package`, () => {
    const bytes = Uint8Array.from(Buffer.from(vectors.types[type].bytes, 'base64'));
    const values = Uint8Array.from(Buffer.from(vectors.types[type].values, 'base64'));
    const expected = new Float32Array(values.buffer);
    assert.equal(expected.length, vectors.numRows * vectors.numCols);
    const actual = new Float32Array(expected.length);
    dequantize(type, bytes, actual);
    const index = actual.findIndex((value, i) => !Object.is(value, expected[i]));
    assert.equal(index, -1, `weight ${index}: ${actual[index]}, not ${expected[index]}`);
  });
}

test('bytes that are not whole blocks, or not as many weights, are refused', () => {
  assert.throws(
    () => dequantize('Q4_0', new Uint8Array(17), new Float32Array(32)),
    /17 bytes of Q4_0 are not 32 weights/,
  );
  assert.throws(() => dequantize('F32', new Uint8Array(8), new Float32Array(1)), /8 bytes of F32 are not 1 weights/);
});
