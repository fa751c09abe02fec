import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16Bits, f16BitsClamped, f16Value } from './f16.ts';

/** The definition, in doubles: sign, 5 bits of exponent, 10 of fraction. */
function valueByDefinition(bits: number): number {
  const sign = bits >= 0x8000 ? -1 : 1;
  const exponent = Math.floor(bits / 1024) % 32;
  const fraction = (bits % 1024) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

test('all 65,536 halves have the value of their definition, and come back from it', () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = f16Value(bits);
    assert.ok(Object.is(value, valueByDefinition(bits)), `value of ${bits.toString(16)}: ${value}`);
    const back = Number.isNaN(value) ? 0x7e00 : bits;
    if (f16Bits(value) !== back) assert.fail(`${bits.toString(16)} came back as ${f16Bits(value).toString(16)}`);
  }
});

test('between any two neighbouring halves, values round to the nearest, and the middle to the even one', () => {
  for (let bits = 0; bits < 0x7bff; bits++) {
    const [low, high] = [f16Value(bits), f16Value(bits + 1)];
    const middle = (low + high) / 2;
    const gap = high - low;
    const even = bits % 2 === 0 ? bits : bits + 1;
    for (const sign of [0, 0x8000]) {
      const factor = sign === 0 ? 1 : -1;
      const rounded = [0, -1 / 4096, 1 / 4096].map((offset) => f16Bits(factor * (middle + offset * gap)));
      if (rounded[0] !== sign + even || rounded[1] !== sign + bits || rounded[2] !== sign + bits + 1) {
        assert.fail(`around ${factor * middle}: ${rounded.join(', ')}`);
      }
    }
  }
});

test('what lies beyond the largest half becomes infinity, or +-65504 when clamped', () => {
  assert.equal(f16Bits(65519.99), 0x7bff);
  assert.equal(f16Bits(65520), 0x7c00);
  for (const huge of [65520, 1e6, 3e38, Infinity]) {
    assert.equal(f16Bits(-huge), 0xfc00);
    assert.equal(f16Value(f16BitsClamped(huge)), 65504);
    assert.equal(f16Value(f16BitsClamped(-huge)), -65504);
  }
  assert.equal(f16BitsClamped(-1.5), f16Bits(-1.5));
});

test('zeros keep their sign, tiny values vanish, and a NaN stays one', () => {
  assert.equal(f16Bits(-0), 0x8000);
  assert.ok(Object.is(f16Value(0x8000), -0));
  assert.equal(f16Bits(2 ** -25), 0);
  assert.equal(f16Bits(2 ** -25 * 1.001), 1);
  assert.equal(f16Bits(1e-45), 0);
  assert.equal(f16BitsClamped(NaN), 0x7e00);
});
