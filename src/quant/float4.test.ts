import assert from 'node:assert/strict';
import { test } from 'node:test';
import { e2m1Bits, e2m1Value, roundToNvfp4 } from './float4.ts';
import { e4m3Bits, e4m3Value } from './float8.ts';
import { tensorData } from './testing/tensor-data.ts';

const MAGNITUDES = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

test('all 16 codes have the values that the OCP specification lists, and come back from them', () => {
  for (let bits = 0; bits < 16; bits++) {
    const value = bits < 8 ? MAGNITUDES[bits] : -MAGNITUDES[bits - 8];
    assert.ok(Object.is(e2m1Value(bits), value));
    assert.equal(e2m1Bits(value), bits);
  }
});

test('values round to the nearest, the middle to the even code, and saturate at 6', () => {
  for (let bits = 0; bits < 7; bits++) {
    const [low, high] = [MAGNITUDES[bits], MAGNITUDES[bits + 1]];
    const at = (part: number): number => e2m1Bits(low + part * (high - low));
    assert.deepEqual([at(0.499), at(0.5), at(0.501)], [bits, bits + (bits % 2), bits + 1]);
    assert.equal(e2m1Bits(-(low + high) / 2), 8 + bits + (bits % 2));
  }
  assert.deepEqual([6.1, -7, Infinity, -Infinity].map(e2m1Bits), [7, 15, 7, 15]);
  assert.throws(() => e2m1Bits(NaN), { name: 'RangeError', message: 'E2M1 has no NaN' });
});

test('elements are E2M1 times the E4M3 scale of their block of 16, times the float32 scale of the tensor', () => {
  // The greatest magnitude is 6 * 448 tensor scales, so that that scale is 1; blocks of a row of 40 are 16, 16 and 8 long.
  const data = Float32Array.from({ length: 80 }, (_, i) => (i % 40 < 16 ? (i === 3 ? 2688 : 1000) : i % 7));
  const { values, bitsPerElement } = roundToNvfp4(data, 40);
  assert.equal(bitsPerElement, 4 + (6 * 8 + 32) / 80);
  data.forEach((value, i) => {
    const blockStart = Math.floor(i / 40) * 40 + Math.floor((i % 40) / 16) * 16;
    const block = data.slice(blockStart, Math.min(blockStart + 16, Math.floor(i / 40) * 40 + 40));
    const scale = e4m3Value(e4m3Bits(Math.max(...block) / 6));
    assert.equal(values[i], e2m1Value(e2m1Bits(value / scale)) * scale);
  });
});

test('every element comes back within a fifth of the greatest of its block; denormal tensors stay finite', () => {
  for (const name of ['Gaussian', 'outlier channels (x40)', 'huge', 'zeros', 'tiny', 'denormals']) {
    const data = tensorData(name, [8, 64]);
    const { values } = roundToNvfp4(data, 64);
    assert.ok(values.every(Number.isFinite), name);
    // Scales of the tensor that are denormals themselves are too coarse for the bound.
    if (name === 'denormals') continue;
    for (let start = 0; start < data.length; start += 16) {
      const greatest = Math.max(...data.slice(start, start + 16).map(Math.abs));
      // A block's scale is within 2^-4 of what it should be, if it is no denormal of E4M3; half the widest gap is 1 / 6.
      const bound = 0.2 * greatest;
      for (let i = start; i < start + 16; i++) assert.ok(Math.abs(values[i] - data[i]) <= bound, `${name} at ${i}`);
    }
  }
  assert.throws(() => roundToNvfp4(new Float32Array(5), 3), {
    name: 'RangeError',
    message: '5 values are no rows of 3',
  });
});
