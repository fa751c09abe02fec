import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../speculation/testing/random.ts';
import { Tokenizer } from '../../tokens/tokenizer.ts';
import { AnswerGrammar } from './answer-grammar.ts';
import { Automaton } from './automaton.ts';
import { choice, literal, optional, repeat, rule, sequence, type Expression } from './expression.ts';
import { GrammarCache } from './grammar-cache.ts';
import { JSON_RULES } from './json-rules.ts';
import { accepts, randomText } from './testing/grammar-texts.ts';
import { TokenTrie, type TokenBytes } from './token-trie.ts';

const END = 0;
const CONTROL = 1;
const JSON_OBJECT = { rules: JSON_RULES, root: 'any object' };

/** Single bytes, and pieces of JSON and other texts, some of them twice; the first two are no text. */
function vocabulary(random: () => number): TokenBytes & { readonly bytes: readonly Uint8Array[] } {
  const texts = [
    'end',
    'control',
    '{"',
    '":',
    '","',
    '"}',
    '}]',
    ' ',
    '\n  ',
    '123',
    '-0.5',
    'e1',
    'ü',
    'true',
    '',
    'ab"cd',
    'ab"',
  ];
  const pieces = Array.from({ length: 300 }, () => {
    const json = '{"a":[1,-2.5e3,"ü\\n"],"b":{"c":null}}';
    const start = Math.floor(random() * json.length);
    return json.slice(start, start + 1 + Math.floor(random() * 6));
  });
  const encoder = new TextEncoder();
  const bytes = [
    ...[...texts, ...pieces].map((text) => encoder.encode(text)),
    ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
  ];
  return {
    bytes,
    vocabularySize: bytes.length,
    endIds: new Set([END]),
    addsSpacePrefix: false,
    tokenBytes: (id) => bytes[id],
    isControl: (id) => id === CONTROL,
    startsText: (id) => id === CONTROL,
  };
}

function grammarOf(tokenizer: TokenBytes, root: Expression, more: readonly [string, Expression][] = []): AnswerGrammar {
  const rules = { rules: new Map([...JSON_RULES, ...more, ['root', root] as const]), root: 'root' };
  return new AnswerGrammar(rules, new TokenTrie(tokenizer), tokenizer);
}

function allowedIds(logits: Float32Array): number[] {
  return [...logits.keys()].filter((id) => logits[id] !== -Infinity);
}

test('the tokens that may come are those whose bytes the text may go on with, each looked at by itself', () => {
  const random = createRandom(3);
  const tokenizer = vocabulary(random);
  const automaton = new Automaton(JSON_OBJECT);
  const trie = new TokenTrie(tokenizer);
  for (let i = 0; i < 30; i++) {
    const text = new TextEncoder().encode(randomText(automaton, random));
    let place = automaton.start;
    for (const byte of text.subarray(0, Math.floor(random() * text.length)))
      place = automaton.step(place, byte) ?? place;
    const mask = trie.tokensFrom(place, automaton);
    for (let id = 0; id < tokenizer.vocabularySize; id++) {
      let next: typeof place | null = id > CONTROL && tokenizer.bytes[id].length > 0 ? place : null;
      for (const byte of tokenizer.bytes[id]) next = next && automaton.step(next, byte);
      assert.equal((mask[id >> 5] >>> (id & 31)) & 1, next ? 1 : 0, `token ${id}`);
    }
  }
});

test('logits of allowed tokens stay as they are, and the end may come exactly where the answer is complete', () => {
  const tokenizer = vocabulary(createRandom(4));
  const logits = Float32Array.from({ length: tokenizer.vocabularySize }, (_, id) => id / 7 - 20);
  const follower = grammarOf(tokenizer, sequence(literal('a'), optional(literal('b')))).follow();
  const idOf = (text: string): number => tokenizer.vocabularySize - 256 + text.charCodeAt(0);
  const first = follower.allowedLogits(logits, tokenizer.endIds);
  assert.ok(allowedIds(first).every((id) => tokenizer.bytes[id][0] === 0x61 && first[id] === logits[id]));
  assert.ok(!allowedIds(first).includes(END) && allowedIds(first).includes(idOf('a')));
  assert.throws(() => follower.push(idOf('b')), RangeError);
  follower.push(idOf('a'));
  assert.equal(follower.hasEnded, false);
  assert.ok(allowedIds(follower.allowedLogits(logits, tokenizer.endIds)).includes(END));
  follower.push(idOf('b'));
  assert.equal(follower.hasEnded, true);
  assert.deepEqual(allowedIds(follower.allowedLogits(logits, tokenizer.endIds)), [END]);
});

test('rules may nest as deep as they like, and all readings of an ambiguous text are followed', () => {
  const nested = choice(literal('x'), sequence(literal('('), rule('nested'), literal(')')));
  const rules = { rules: new Map([['nested', nested]]), root: 'nested' };
  assert.ok(accepts(rules, `${'('.repeat(500)}x${')'.repeat(500)}`));
  assert.equal(accepts(rules, `${'('.repeat(500)}x${')'.repeat(499)}`), false);
  const ambiguous = sequence(repeat(choice(literal('a'), literal('aa'), literal('ab')), 0), optional(literal('b')));
  const either = { rules: new Map([['root', ambiguous]]), root: 'root' };
  for (const text of ['', 'aaa', 'aab', 'abb', 'ababb']) assert.ok(accepts(either, text), text);
  for (const text of ['bb', 'abbb', 'ba']) assert.equal(accepts(either, text), false, text);
});

test('what is remembered is limited, and forgetting it changes nothing', () => {
  const random = createRandom(6);
  const [small, large] = [new Automaton(JSON_OBJECT, 20), new Automaton(JSON_OBJECT)];
  for (let i = 0; i < 10; i++) {
    let [place, expected] = [small.start, large.start];
    for (const byte of new TextEncoder().encode(randomText(large, random))) {
      place = small.tidy(small.step(place, byte) ?? small.start);
      expected = large.step(expected, byte) ?? large.start;
      assert.equal(place.isComplete, expected.isComplete);
      const next = [...'{}[]",:0 a\\'].map((character) => character.charCodeAt(0));
      for (const each of next) assert.equal(small.step(place, each) === null, large.step(expected, each) === null);
    }
    assert.ok(small.numPlaces < 60);
  }
});

test('tokens of a SentencePiece vocabulary are bytes and texts with spaces, and none changes the text behind it', () => {
  const pieces = ['<unk>', '<s>', '</s>', '<0x7B>', '\u2581{', '{', '}', '"', '\u2581', '<tag>', 'a'];
  const tokenizer = new Tokenizer({
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': pieces,
    'tokenizer.ggml.scores': pieces.map(() => 0),
    'tokenizer.ggml.token_type': [2, 3, 3, 6, 1, 1, 1, 1, 1, 4, 1],
  });
  const follower = grammarOf(tokenizer, rule('any object')).follow();
  const allowed = (): string[] =>
    allowedIds(follower.allowedLogits(new Float32Array(pieces.length), tokenizer.endIds)).map((id) => pieces[id]);
  assert.deepEqual(allowed(), ['<0x7B>', '{']);
  follower.push(3);
  assert.deepEqual(allowed(), ['}', '"', '\u2581']);
  follower.push(7);
  assert.deepEqual(allowed(), ['<0x7B>', '\u2581{', '{', '}', '"', '\u2581', 'a']);
});

test('a grammar is made once for a format, and those not used for longest are let go', () => {
  const cache = new GrammarCache(vocabulary(createRandom(1)), 2);
  const schema = (minimum: number) => ({ type: 'json_schema', schema: { type: 'integer', minimum } }) as const;
  assert.equal(cache.get({ type: 'text' }), undefined);
  const first = cache.get(schema(1));
  const object = cache.get({ type: 'json_object' });
  assert.equal(cache.get(schema(1)), first);
  cache.get(schema(2));
  assert.equal(cache.size, 2);
  assert.equal(cache.get(schema(1)), first);
  assert.notEqual(cache.get({ type: 'json_object' }), object);
});

test('a schema that is too long or no plain JSON is refused', () => {
  const cache = new GrammarCache(vocabulary(createRandom(1)));
  const circle: Record<string, unknown> = {};
  circle.items = circle;
  const long = { description: 'x'.repeat(70_000) };
  for (const [schema, message] of [
    [circle, /must be plain JSON/],
    [long, /has 700\d\d characters as JSON, more than 65536: make it smaller/],
  ] as const) {
    assert.throws(() => cache.get({ type: 'json_schema', schema }), { code: 'INVALID_OPTION', message });
  }
});
