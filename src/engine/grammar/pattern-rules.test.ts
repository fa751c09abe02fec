import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../speculation/testing/random.ts';
import { Automaton } from './automaton.ts';
import { characterOf, complement } from './code-points.ts';
import type { Expression, RuleSet } from './expression.ts';
import { JSON_RULES, quoted } from './json-rules.ts';
import { PatternError, patternRule } from './pattern-rules.ts';
import { accepts, randomText } from './testing/grammar-texts.ts';

function stringsOf(content: Expression): RuleSet {
  return { rules: new Map([...JSON_RULES, ['root', quoted(content)] as const]), root: 'root' };
}

const PATTERNS = [
  ...[
    '^a+$',
    'ab',
    '^ab',
    'ab$',
    '^(?:a|bc)*d?$',
    '^[^a]{2,3}$',
    '^.$',
    '^\\d{3}-\\d{4}$',
    '^[\\w.]+@\\w+$',
    'a|^b$|c',
  ],
  ...[
    '^\\S+\\s\\S+$',
    '^["\\\\/\\n]*$',
    '^[ä-ü😀]+$',
    '^\\u{1F600}?\\u00e4\\x41$',
    '^(?<year>[12]\\d{3})$',
    '^a{2,}?b$',
    '^[a\\-z\\]]$',
  ],
  ...['^$', '', '^[^\\d\\W]+$', '^(?:(?:a*)*b)*$', '^[\\b\\t]$', '^[-a]$'],
];
const TEXTS = [
  ...[
    '',
    'a',
    'aa',
    'ab',
    'xabx',
    'b',
    'c',
    'bcad',
    'bcd',
    'xyz',
    'xy',
    'ä',
    '😀',
    '😀äA',
    'äA',
    '123-4567',
    'a.b@c',
    'a b',
    '"',
    '\\',
    '\n',
    '/"\\',
  ],
  ...[
    '1999',
    '2',
    'aab',
    'ab',
    'b',
    '-',
    ']',
    'z',
    'é',
    'ü',
    '\t',
    '\b',
    '\u2028',
    '\u0001',
    'd',
    'aaab',
    'abab',
    '{',
    '\ufffd',
    '\u{10ffff}',
  ],
];

test('strings are allowed exactly where the regular expression finds something in them', () => {
  for (const pattern of PATTERNS) {
    const rules = stringsOf(patternRule(pattern));
    for (const text of TEXTS) {
      const isAllowed = new RegExp(pattern, 'u').test(text);
      assert.equal(accepts(rules, JSON.stringify(text)), isAllowed, `${JSON.stringify(text)} for ${pattern}`);
    }
  }
});

test('whatever a pattern allows is JSON that the regular expression finds something in', () => {
  const random = createRandom(4);
  // Others hardly end where bytes are taken at random.
  for (const pattern of PATTERNS.filter((each) => each.startsWith('^') && each.endsWith('$'))) {
    const automaton = new Automaton(stringsOf(patternRule(pattern)));
    for (let i = 0; i < 5; i++) {
      const text = JSON.parse(randomText(automaton, random)) as string;
      assert.match(text, new RegExp(pattern, 'u'));
    }
  }
});

test('characters of a set are those that JSON decodes to it, at every length of UTF-8', () => {
  const random = createRandom(5);
  const edges = [0, 0x1f, 0x20, 0x22, 0x5c, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff];
  for (let i = 0; i < 40; i++) {
    const [a, b] = [random(), random()].map((value) => Math.floor(value ** 3 * 0x110000));
    const range = [Math.min(a, b), Math.max(a, b)] as const;
    const set = i % 2 === 0 ? [range] : complement([range]);
    const rules = stringsOf(characterOf(set) ?? assert.fail());
    const near = [range[0] - 1, range[0], range[0] + 1, range[1] - 1, range[1], range[1] + 1, Math.floor((a + b) / 2)];
    for (const codePoint of [...edges, ...near]) {
      if (codePoint < 0 || codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) continue;
      const isBetween = codePoint >= range[0] && codePoint <= range[1];
      const text = JSON.stringify(String.fromCodePoint(codePoint));
      assert.equal(accepts(rules, text), isBetween === (i % 2 === 0), `${codePoint} and ${range.join('-')}`);
    }
  }
  assert.equal(characterOf([]), undefined);
  assert.equal(characterOf([[0xd800, 0xdfff]]), undefined);
});

for (const [pattern, message] of [
  ['(', /^is no regular expression: check its syntax$/],
  ['a(?=b)', /looks ahead or behind/],
  ['(?<!a)b', /looks ahead or behind/],
  ['(a)\\1', /has \\1, which is not supported/],
  ['\\bword', /has \\b, which is not supported/],
  ['\\p{L}', /has \\p, which is not supported/],
  ['a^b', /has an anchor in its middle/],
  ['(a$|b)c', /has an anchor in its middle/],
  ['[^\\s\\S]', /has a class without any character/],
  ['a{20000}', /repeats something more than 10000 times/],
  ['\\ud83d', /half a surrogate pair/],
] as const) {
  test(`a pattern that cannot be followed says why: ${pattern}`, () => {
    assert.throws(
      () => patternRule(pattern),
      (error: unknown) => error instanceof PatternError && message.test(error.message),
    );
  });
}
