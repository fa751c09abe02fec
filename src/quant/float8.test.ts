import assert from 'node:assert/strict';
import { test } from 'node:test';
import { e4m3Bits, e4m3Value, roundToFloat8 } from './float8.ts';
import { tensorData } from './testing/tensor-data.ts';

test('all 256 codes have the value of their definition, and come back from it', () => {
  for (let bits = 0; bits < 256; bits++) {
    const exponent = (bits >> 3) & 15;
    const fraction = bits & 7;
    const magnitude = exponent === 0 ? (fraction / 8) * 2 ** -6 : (1 + fraction / 8) * 2 ** (exponent - 7);
    const isNaN = exponent === 15 && fraction === 7;
    const value = e4m3Value(bits);
    assert.ok(Object.is(value, isNaN ? NaN : bits < 128 ? magnitude : -magnitude), `${bits} is ${value}`);
    assert.equal(e4m3Bits(value), isNaN ? 0x7f : bits);
  }
});

test('the values that the OCP specification lists: largest, least normal, largest and least denormal', () => {
  const listed: [number, number][] = [
    [0x7e, 448],
    [0x08, 2 ** -6],
    [0x07, 0.875 * 2 ** -6],
    [0x01, 2 ** -9],
    [0x38, 1],
    [0xb8, -1],
    [0xfe, -448],
  ];
  for (const [bits, value] of listed) assert.equal(e4m3Value(bits), value);
});

test('between any two neighbours, values round to the nearest, and the middle to the even code', () => {
  for (let bits = 0; bits < 0x7e; bits++) {
    const [low, high] = [e4m3Value(bits), e4m3Value(bits + 1)];
    for (const [sign, signBit] of [
      [1, 0],
      [-1, 0x80],
    ]) {
      const at = (part: number): number => e4m3Bits(sign * (low + part * (high - low))) - signBit;
      assert.deepEqual([at(0.499), at(0.5), at(0.501)], [bits, bits + (bits % 2), bits + 1]);
    }
  }
});

test('what lies beyond 448 saturates, a NaN stays one, and zeros keep their sign', () => {
  for (const huge of [448.1, 464, 480, 1e30, Infinity]) {
    assert.equal(e4m3Bits(huge), 0x7e);
    assert.equal(e4m3Bits(-huge), 0xfe);
  }
  assert.equal(e4m3Bits(NaN), 0x7f);
  assert.equal(e4m3Bits(-0), 0x80);
  assert.equal(e4m3Bits(2 ** -10), 0);
});

test('a tensor comes back within 2^-4 of each element and 2^-10 of the scale, with one scale for all', () => {
  for (const name of ['Gaussian', 'outlier channels (x40)', 'huge', 'zeros', 'tiny']) {
    const data = tensorData(name, [16, 64]);
    const { values, bitsPerElement } = roundToFloat8(data, 'tensor');
    const scale = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 448;
    data.forEach((value, i) => {
      const bound = Math.max(2 ** -4 * Math.abs(value), 2 ** -10 * scale) * (1 + 2 ** -20);
      assert.ok(Math.abs(value - values[i]) <= bound, `${name}: ${value} came back as ${values[i]}`);
    });
    assert.equal(bitsPerElement, 8 + 32 / 1024);
  }
  assert.deepEqual(roundToFloat8(Float32Array.of(500, -0.1), 'none'), {
    values: Float32Array.of(448, -0.1015625),
    bitsPerElement: 8,
  });
});
