import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../speculation/testing/random.ts';
import type { Expression, RuleSet } from './expression.ts';
import { integersBetween, MAX_INTEGER, NUMBER, numbersBetween } from './number-rules.ts';
import { accepts } from './testing/grammar-texts.ts';

function rulesOf(expression: Expression | undefined): RuleSet {
  assert.ok(expression);
  return { rules: new Map([['number', expression]]), root: 'number' };
}

test('integers are allowed exactly between their bounds', () => {
  const random = createRandom(1);
  for (let i = 0; i < 40; i++) {
    const scale = 10 ** (1 + (i % 3));
    const [a, b] = [random(), random()].map((value) => Math.round((value * 2 - 1) * scale));
    const [min, max] = [Math.min(a, b), Math.max(a, b)];
    const rules = rulesOf(integersBetween(min, max));
    for (let value = min - 12; value <= max + 12; value++) {
      assert.equal(accepts(rules, String(value)), value >= min && value <= max, `${value} in ${min}..${max}`);
    }
    for (const text of ['-0', '00', '1.0', '1e1', '+1', '', '-']) assert.equal(accepts(rules, text), false);
  }
  assert.equal(integersBetween(3, 2), undefined);
  const all = rulesOf(integersBetween(-MAX_INTEGER, MAX_INTEGER));
  for (const value of [MAX_INTEGER, -MAX_INTEGER, 0, 10 ** 14]) assert.ok(accepts(all, String(value)));
  assert.equal(accepts(all, String(MAX_INTEGER + 1)), false);
});

test('decimal numbers are allowed exactly between their bounds, which may be left out', () => {
  const random = createRandom(2);
  for (let i = 0; i < 60; i++) {
    const [a, b] = [random(), random()].map((value) => Math.round((value * 2 - 1) * 3000) / 10 ** (i % 4));
    const bounds = { min: Math.min(a, b), max: Math.max(a, b) + 0.01, isMinOpen: i % 2 === 0, isMaxOpen: i % 3 === 0 };
    const rules = rulesOf(numbersBetween(bounds));
    const near = [bounds.min, bounds.max, 0].flatMap((bound) =>
      [-1, -0.1, -0.001, 0, 0.001, 0.01, 1].map((step) => bound + step),
    );
    const between = Array.from({ length: 20 }, () => bounds.min + random() * (bounds.max - bounds.min));
    for (const value of [...near, ...between]) {
      const text = value.toFixed(4).replace(/^-(0\.0000)$/, '$1');
      const rounded = Number(text);
      const isAbove = bounds.isMinOpen ? rounded > bounds.min : rounded >= bounds.min;
      const isBelow = bounds.isMaxOpen ? rounded < bounds.max : rounded <= bounds.max;
      assert.equal(accepts(rules, text), isAbove && isBelow, `${text} in ${JSON.stringify(bounds)}`);
    }
  }
});

test('numbers without bounds are those of JSON with up to 15 digits a part', () => {
  const rules = rulesOf(NUMBER);
  for (const text of ['0', '-0', '10', '-1.5', '2e10', '1.25E-07', '123456789012345.123456789012345e+99'])
    assert.ok(accepts(rules, text), text);
  for (const text of ['01', '.5', '1.', '1e', '1e100', '1234567890123456', '--1', 'NaN'])
    assert.equal(accepts(rules, text), false, text);
});
