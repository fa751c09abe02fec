import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { createRandom } from '../speculation/testing/random.ts';
import { Automaton } from './automaton.ts';
import { JSON_RULES } from './json-rules.ts';
import { schemaRules } from './schema-rules.ts';
import { accepts, randomText } from './testing/grammar-texts.ts';
import { randomSchema } from './testing/random-schema.ts';
import { problemWith } from './testing/validate.ts';

test('whatever the grammar of a random schema allows is JSON that the schema allows', () => {
  const random = createRandom(1);
  for (let i = 0; i < 80; i++) {
    const schema = randomSchema(random);
    const automaton = new Automaton(schemaRules(schema));
    for (let j = 0; j < 4; j++) {
      const text = randomText(automaton, random);
      const problem = problemWith(schema, JSON.parse(text));
      assert.equal(problem, undefined, `${text} of ${JSON.stringify(schema)}`);
    }
  }
});

test('every text of the grammar of JSON objects is one', () => {
  const random = createRandom(2);
  const automaton = new Automaton({ rules: JSON_RULES, root: 'any object' });
  for (let i = 0; i < 60; i++) {
    const value: unknown = JSON.parse(randomText(automaton, random));
    assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value));
  }
});

const PERSON = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  properties: {
    name: { type: 'string', description: 'Full name' },
    age: { type: 'integer', minimum: 0 },
    address: { $ref: '#/$defs/address' },
    friends: { type: 'array', items: { $ref: '#' } },
  },
  required: ['name', 'address'],
  additionalProperties: false,
  $defs: { address: { type: ['object', 'null'], properties: { city: { type: 'string' } }, required: ['city'] } },
};
const JANE = { name: 'Jäne "J" \n', age: 40, address: { city: 'Ulm 😀' } };

test('values of a schema are allowed, written in one line or over several; others are not', () => {
  const rules = schemaRules(PERSON);
  for (const value of [JANE, { name: '', address: null }, { ...JANE, friends: [JANE, { name: 'b', address: null }] }]) {
    assert.ok(accepts(rules, JSON.stringify(value)));
    assert.ok(accepts(rules, JSON.stringify(value, undefined, 2)));
  }
  for (const value of [
    { name: 'a' },
    { address: null, name: 'a' },
    { ...JANE, age: -1 },
    { ...JANE, more: 1 },
    [JANE],
  ]) {
    assert.equal(accepts(rules, JSON.stringify(value)), false);
  }
  const text = JSON.stringify(JANE);
  for (const wrong of [
    text.slice(0, -1),
    `${text} `,
    ` ${text}`,
    text.replace(',', ',,'),
    text.replace('"age"', '"Age"'),
  ]) {
    assert.equal(accepts(rules, wrong), false, wrong);
  }
});

test('properties that may be left out may be left out in any combination, and in their order', () => {
  const names = ['a', 'b', 'c', 'd'];
  for (const required of [[], ['a'], ['c'], ['b', 'd']]) {
    const properties = Object.fromEntries(names.map((name) => [name, { type: 'null' }]));
    const rules = schemaRules({ type: 'object', properties, required });
    for (let bits = 0; bits < 16; bits++) {
      const given = names.filter((_, index) => bits & (1 << index));
      const text = JSON.stringify(Object.fromEntries(given.map((name) => [name, null])));
      const isAllowed = required.every((name) => given.includes(name));
      assert.equal(accepts(rules, text), isAllowed, `${text} with ${required.join()} required`);
    }
    assert.equal(accepts(rules, '{"d":null,"a":null}'), false);
  }
});

test('without keywords any value may come; keywords of a type tell the type; maps have any names', () => {
  const any = schemaRules({ description: 'anything' });
  for (const value of [1, 'a', null, true, [], {}, { a: [1, { b: null }] }, -0.5e-7]) {
    assert.ok(accepts(any, JSON.stringify(value)));
  }
  assert.ok(accepts(schemaRules({ minLength: 2 }), '"ab"'));
  assert.equal(accepts(schemaRules({ minLength: 2 }), '12'), false);
  const map = schemaRules({ type: 'object', additionalProperties: { type: 'integer' } });
  assert.ok(accepts(map, '{"a":1, "b":2}'));
  assert.equal(accepts(map, '{"a":"1"}'), false);
  assert.ok(accepts(schemaRules({ type: 'object', additionalProperties: false }), '{}'));
  assert.ok(accepts(schemaRules({ enum: [1, 'a', null], type: ['string', 'null'] }), '"a"'));
  assert.equal(accepts(schemaRules({ enum: [1, 'a', null], type: ['string', 'null'] }), '1'), false);
});

test('lengths count characters, whatever bytes or escapes they take', () => {
  const rules = schemaRules({ type: 'string', minLength: 2, maxLength: 3 });
  for (const text of ['"ab"', '"äö😀"', '"\\n\\u00e4"']) assert.ok(accepts(rules, text), text);
  for (const text of ['"a"', '"😀"', '"abcd"', '"\\ud83d\\ude00"', '"a\nb"'])
    assert.equal(accepts(rules, text), false, text);
});

for (const [problem, schema, message] of [
  [
    'an unknown keyword',
    { type: 'array', uniqueItems: true },
    /at #, the keyword "uniqueItems" is not supported: leave it out, or say it with/,
  ],
  [
    'its place',
    { type: 'object', properties: { 'a/b': { contains: 'x' } } },
    /at #\/properties\/a~1b, the keyword "contains"/,
  ],
  ['another type', { type: 'text' }, /"type" must be object, array, string, .*; got "text"$/],
  ['no schema', { items: 3 }, /at #\/items, there must be a schema, an object; got 3$/],
  ['no list', { anyOf: [] }, /"anyOf" must be a list of schemas; got \[\]$/],
  ['a missing reference', { $ref: '#/$defs/x' }, /"\$ref" names "#\/\$defs\/x", which is not in the schema$/],
  ['a foreign reference', { $ref: 'http://x' }, /"\$ref" must point into the schema itself/],
  ['a reference to itself', { anyOf: [{ $ref: '#' }, { type: 'null' }] }, /the schema is itself, or may be/],
  ['nothing finite', { properties: { a: { $ref: '#' } }, required: ['a'] }, /requires itself again and again/],
  ['keywords beside anyOf', { anyOf: [{ type: 'null' }], minimum: 3 }, /"anyOf" and "minimum" cannot be combined/],
  ['keywords beside enum', { enum: [1], minimum: 3 }, /"minimum" cannot be combined with a list of values/],
  ['no value of the type', { enum: [1], type: 'string' }, /none of the listed values is of the type/],
  ['several allOf', { allOf: [{}, {}] }, /"allOf" with more than one schema is not supported/],
  [
    'oneOf that overlaps',
    { oneOf: [{ type: 'integer' }, { type: 'number' }] },
    /both schemas 0 and 1 of "oneOf": use "anyOf"/,
  ],
  [
    'required without property',
    { properties: { a: {} }, required: ['b'] },
    /"required" has "b", which is not in "properties"/,
  ],
  [
    'more properties by schema',
    { properties: { a: {} }, additionalProperties: { type: 'null' } },
    /"additionalProperties" is a schema beside "properties"/,
  ],
  ['too long', { type: 'string', maxLength: 1e6 }, /"maxLength" must be a whole number from 0 to 10000; got 1000000$/],
  ['an empty range', { type: 'array', minItems: 2, maxItems: 1 }, /"minItems" is above "maxItems"/],
  ['no number', { type: 'integer', minimum: 0.1, maximum: 0.9 }, /no integer lies between the bounds/],
  [
    'a bound too fine',
    { type: 'number', minimum: 1e-9 },
    /"minimum" must be a number from -999999999999999 to 999999999999999, .*; got 1e-9$/,
  ],
  [
    'an unknown format',
    { type: 'string', format: 'regex' },
    /"format" "regex" is not supported: leave it out, take one of date, time/,
  ],
  ['a pattern that is none', { pattern: 'a(' }, /"pattern" "a\(" is no regular expression: check its syntax$/],
  [
    'a pattern of another length',
    { pattern: '^a{5}$', maxLength: 3 },
    /no string is of the pattern, the format and the length/,
  ],
  [
    'names of a pattern',
    { propertyNames: { pattern: 'a' } },
    /"propertyNames" is supported only for names that may be/,
  ],
  ['an open tuple', { prefixItems: [{}] }, /"prefixItems" is supported for arrays of just these items/],
  ['too deep', nest(40), /nested deeper than 32: make it flatter$/],
] as const) {
  test(`a schema that cannot be followed is refused with its place and what to do: ${problem}`, () => {
    assert.throws(() => schemaRules(schema), { name: 'KvantError', code: 'INVALID_OPTION', message });
  });
}

test('pattern, format and length of strings hold all together', () => {
  const rules = schemaRules({ type: 'string', pattern: '^[a-c]*@|@x', format: 'email', minLength: 8, maxLength: 9 });
  for (const text of ['"abc@de.f"', '"zz@xy.zz"', '"a@bb.ccc"']) assert.ok(accepts(rules, text), text);
  for (const text of ['"a@b.c"', '"zz@yy.zz"', '"abcabcab"', '"abc@defgh.ij"', '"@xyz.abc"']) {
    assert.equal(accepts(rules, text), false, text);
  }
  const long = schemaRules({ type: 'string', pattern: '\\d', maxLength: 100 });
  assert.ok(accepts(long, JSON.stringify(`${'ä"'.repeat(49)}7 `)));
  assert.equal(accepts(long, JSON.stringify(`${'ä"'.repeat(49)}7  `)), false);
  assert.equal(accepts(long, JSON.stringify('no digit')), false);
});

test('a schema whose counts make too large a grammar is refused', () => {
  const list = { type: 'array', items: { type: 'null' }, maxItems: 10_000 };
  const names = Array.from({ length: 12 }, (_, index) => `p${index}`);
  const properties = Object.fromEntries(names.map((name) => [name, list]));
  const rules = schemaRules({ type: 'object', properties });
  const message =
    /has a schema that makes a grammar of more than 200000 states: make it smaller, above all its minItems/;
  assert.throws(() => new Automaton(rules), { code: 'INVALID_OPTION', message });
});

test('schemas that zod makes of its types are understood', () => {
  const variants = ['a', 'b'].map((kind) => z.object({ kind: z.literal(kind), n: z.int().optional() }));
  const schema = z.object({
    ...{
      id: z.uuid(),
      mail: z.email(),
      at: z.iso.datetime(),
      count: z.int32().positive(),
      share: z.number().min(0).max(1),
    },
    ...{
      names: z.array(z.string().min(1)).nonempty(),
      pair: z.tuple([z.string(), z.boolean()]),
      map: z.record(z.string(), z.null()),
    },
    ...{
      either: z.discriminatedUnion('kind', [variants[0], variants[1]]),
      open: z.looseObject({ x: z.any() }),
      code: z.string().regex(/^[A-Z]\d+$/),
    },
  });
  const random = createRandom(8);
  const automaton = new Automaton(schemaRules(z.toJSONSchema(schema)));
  for (let i = 0; i < 10; i++) schema.parse(JSON.parse(randomText(automaton, random)));
});

function nest(depth: number): object {
  return depth === 0 ? { type: 'null' } : { type: 'array', items: nest(depth - 1) };
}

test('oneOf is allowed where types, values or a required property tell the schemas apart', () => {
  const kind = (name: string, more: object): object => ({
    type: 'object',
    properties: { kind: { const: name }, ...more },
    required: ['kind'],
  });
  const rules = schemaRules({
    oneOf: [kind('a', { x: { type: 'null' } }), kind('b', {}), { type: 'string' }, { enum: [1, 2] }],
  });
  for (const text of ['{"kind":"a","x":null}', '{"kind":"b"}', '"x"', '2']) assert.ok(accepts(rules, text), text);
  assert.equal(accepts(rules, '{"kind":"b","x":null}'), false);
});
