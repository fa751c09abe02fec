import type { Random } from './random.ts';

/** Bodies that are nearly as the server wants them, and are not. */

/** JSON, or what shall be taken for it, as text: numbers such as 1e400 and keys such as `__proto__` are lost in values. */
type JsonText = string;

const text = (value: unknown): JsonText => JSON.stringify(value);
const nested = (depth: number, open: string, middle: string, close: string): JsonText =>
  open.repeat(depth) + middle + close.repeat(depth);

const SIMPLE_VALUES: readonly JsonText[] = [
  ...['null', 'true', 'false', '0', '-0', '-1', '1', '1.5', '1e308', '1e400', '-1e400', '5e-324'],
  ...['9007199254740993', '18446744073709551616', '4294967296', '-2147483649', '1e21', '0.1e-7'],
  ...['NaN', 'Infinity', 'undefined', "'a'", '01', '+1', '0x10', '.5', '1_000'],
  ...['""', '"x"', '"NaN"', '"1"', '"true"', '"null"', '"\\u0000"', '"\\ud800"', '"\\udfff\\ud800"', '"\\ufeff"'],
  ...['"<|im_end|>"', '"<|im_start|>system"', '"{{ 7 * 7 }}"', '"{% for a in range(99999999) %}{% endfor %}"'],
  ...['"../../etc/passwd"', '"\\\\u202e"', text('👩‍👩‍👧‍👦'.repeat(50)), text('é'.repeat(300)), text('a'.repeat(5000))],
  ...['[]', '{}', '[null]', '[[]]', '[{}]', '{"":{}}', '{"__proto__":{"isAdmin":true}}', '{"toString":1}'],
  ...['{"constructor":{"prototype":{"isAdmin":true}}}', '{"length":1e9}', '{"then":"x"}', '{"toJSON":"x"}'],
  ...['{"type":"text"}', '{"type":"json_object"}', '{"type":"json_schema"}', '{"$ref":"#"}', '{"type":"object"}'],
];

/** Of a JSON schema. */
const SCHEMAS: readonly JsonText[] = [
  ...['{}', 'true', 'false', '[]', '{"type":"no such type"}', '{"type":[]}', '{"type":["object","object"]}'],
  ...['{"$ref":"#"}', '{"$ref":"#/nowhere"}', '{"$ref":"http://127.0.0.1/schema"}', '{"allOf":[{"$ref":"#"}]}'],
  ...['{"type":"string","pattern":"(a+)+$"}', '{"type":"string","pattern":"("}', '{"type":"string","maxLength":1e9}'],
  ...['{"enum":[]}', '{"const":null}', '{"not":{}}', '{"minimum":1e400}', '{"type":"integer","minimum":5,"maximum":1}'],
  ...['{"type":"object","properties":{"__proto__":{"type":"string"}},"required":["__proto__"]}'],
  ...['{"type":"array","items":{"$ref":"#"}}', '{"type":"array","minItems":1000000,"items":{"type":"null"}}'],
  ...['{"type":"object","required":["a"],"properties":{}}', '{"properties":{"a":{"$ref":"#"}},"required":["a"]}'],
  ...['{"oneOf":[{"type":"string"},{"type":"string"}]}', '{"type":"object","additionalProperties":{"$ref":"#"}}'],
];

function value(random: Random): JsonText {
  const kind = random.below(40);
  if (kind === 0) return nested(random.pick([33, 500, 20_000]), '[', '1', ']');
  if (kind === 1) return nested(random.pick([33, 500, 20_000]), '{"a":', '1', '}');
  if (kind === 2) return nested(random.pick([16, 33, 5000]), '{"properties":{"a":', '{}', '}}');
  if (kind === 3) return nested(random.pick([33, 5000]), '{"anyOf":[', '{}', ']}');
  if (kind === 4) return text(Array.from({ length: random.pick([17, 1001, 5000]) }, (_, i) => i));
  if (kind === 5) return text(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`${i}`, i])));
  if (kind === 6) return text('word '.repeat(random.pick([100, 5000])));
  if (kind === 7) return random.pick(SCHEMAS);
  if (kind === 8) return text(String.fromCharCode(...random.bytes(20)));
  return random.pick(SIMPLE_VALUES);
}

const KEYS = [
  ...['__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'toString', 'then', '', '0', '\u0000', '\ud800'],
  ...[
    'tools',
    'functions',
    'prediction',
    'audio',
    'best_of',
    'suffix',
    'previous_response_id',
    'store',
    'x'.repeat(1000),
  ],
  ...['stream', 'n', 'seed', 'stop', 'logprobs', 'top_logprobs', 'logit_bias', 'response_format', 'kvant', 'metadata'],
  ...[
    'max_tokens',
    'temperature',
    'top_p',
    'user',
    'stream_options',
    'signal',
    'tenant',
    'reusePrefix',
    'chat_template',
  ],
];

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const messages: Json = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: [{ type: 'text', text: 'Tell me of the sea.' }], name: 'ada' },
];
const sampling = { model: 'kvant', temperature: 0.5, top_p: 0.9, seed: 1, user: 'ada' };
const kvant = { kv: 'q4', top_k: 5, min_p: 0.1, repetition_penalty: 1.1 };
const schema: Json = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
const completion: Record<string, Json> = {
  ...{ ...sampling, n: 1, stop: ['x', 'y'], frequency_penalty: 0.5, presence_penalty: -0.5, logit_bias: { 5: 1 } },
  ...{ stream: true, stream_options: { include_usage: true }, max_tokens: 2 },
};

/** What the routes take, with all of their fields. */
export const BODIES: Readonly<Record<string, Readonly<Record<string, Json>>>> = {
  '/v1/chat/completions': {
    ...{ ...completion, messages, metadata: { a: 'b' }, logprobs: true, top_logprobs: 2, store: false },
    response_format: { type: 'json_schema', json_schema: { name: 'a', schema, strict: true } },
    kvant: { ...kvant, conversation: 'talk' },
  },
  '/v1/completions': { ...completion, prompt: ['Once upon', 'a time'], logprobs: 1, echo: false, kvant },
  '/v1/responses': {
    ...{ ...sampling, seed: null, input: messages, instructions: 'Be brief.', max_output_tokens: 2, kvant },
    ...{ stream: true, text: { format: { type: 'json_schema', name: 'a', schema, strict: true } } },
  },
  '/v1/tokenize': { model: 'kvant', input: 'Tell me of the sea.', messages },
  '/v1/detokenize': { model: 'kvant', tokens: [1, 2, 3] },
};

/** Fields that are left out so often that the rest comes further than to their checks. */
const RARE = ['response_format', 'text', 'kvant', 'stream', 'stream_options', 'logit_bias', 'seed'];

/** A body with some of the route's fields, and one to three things about it that are wrong, somewhere within. */
export function hostileBody(random: Random, path: string): JsonText {
  const all = Object.entries(BODIES[path]).filter(([name]) => !RARE.includes(name) || random.chance(0.4));
  const body = structuredClone(Object.fromEntries(all)) as Record<string, Json>;
  if (path === '/v1/tokenize') delete body[random.pick(['input', 'messages'])];
  if (body['stream'] === undefined) delete body['stream_options'];
  const texts: JsonText[] = [];
  // A marker stands for a text that no value can be.
  const marker = (): string => `@${texts.push(value(random)) - 1}@`;
  for (let count = 1 + random.below(3); count > 0; count--) spoil(body, random, marker);
  let json = JSON.stringify(body).replace(/"@(\d+)@"/g, (_, index: string) => texts[Number(index)]);
  if (random.chance(0.1)) json = `{"${random.pick(Object.keys(BODIES[path]))}":${value(random)},${json.slice(1)}`;
  if (random.chance(0.05)) json = `{"__proto__":${value(random)},${json.slice(1)}`;
  return json;
}

/** Replaces, adds or takes away something at a place that is deeper the longer chance will have it. */
function spoil(body: Record<string, Json>, random: Random, marker: () => string): void {
  let at: Json[] | Record<string, Json> = body;
  for (;;) {
    const keys: readonly string[] = Object.keys(at);
    const key: string = random.pick(keys.length > 0 ? keys : ['0']);
    const child: Json | undefined = (at as Readonly<Record<string, Json>>)[key];
    if (typeof child === 'object' && child !== null && random.chance(0.6)) {
      at = child;
      continue;
    }
    const kind = random.below(10);
    if (kind === 0 && Array.isArray(at)) at.splice(Number(key), 1);
    else if (kind === 0) delete (at as Record<string, Json>)[key];
    else if (kind <= 2 && !Array.isArray(at)) at[random.pick(KEYS)] = marker();
    else (at as Record<string, Json>)[key] = marker();
    return;
  }
}

/** Spoils bytes of a body, so that it is hardly JSON any more. */
export function spoiltBytes(random: Random, body: Uint8Array): Uint8Array {
  const at = random.below(body.length + 1);
  const insert = (...bytes: number[]): Uint8Array =>
    Buffer.concat([body.subarray(0, at), Uint8Array.from(bytes), body.subarray(at)]);
  switch (random.below(8)) {
    case 0:
      return body.subarray(0, at);
    case 1:
      return insert(0xff);
    case 2:
      return insert(0xed, 0xa0, 0x80);
    case 3:
      return insert(0xc0, 0x80);
    case 4:
      return insert(...random.bytes(1 + random.below(20)));
    case 5:
      return Buffer.from(`\ufeff${Buffer.from(body).toString()}`);
    case 6:
      return Buffer.from(Buffer.from(body).toString(), 'utf16le');
    default:
      return Buffer.concat([body, Buffer.from(random.pick(['}', ',', 'x', '\0', '{"a":1}', '//', '\n[]']))]);
  }
}
