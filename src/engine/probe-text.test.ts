import assert from 'node:assert/strict';
import { test } from 'node:test';
import { probeTokens } from './probe-text.ts';

/** A tokenizer that makes a token of every 8th letter; id 0 is markup. */
const tokenizer = {
  vocabularySize: 100,
  bosId: 7,
  addBos: true,
  encode: (text: string): number[] => Array.from({ length: Math.floor(text.length / 8) }, (_, i) => i % 100),
  isControl: (id: number): boolean => id === 0,
};

test('the beginning of the text, after BOS and without markup', () => {
  const { tokens, numTextTokens } = probeTokens(tokenizer, 150);
  assert.equal(tokens.length, 150);
  assert.equal(numTextTokens, 150);
  assert.deepEqual(tokens.slice(0, 4), [7, 1, 2, 3]);
  assert.ok(!tokens.includes(0));
  assert.equal(probeTokens({ ...tokenizer, addBos: false }, 10).tokens[0], 1);
});

test('a vocabulary that makes nothing of it gives tokens from all over it, the same each time, never markup', () => {
  const mute = { ...tokenizer, addBos: false, encode: () => [0, 0, 0] };
  const { tokens, numTextTokens } = probeTokens(mute, 260);
  assert.equal(numTextTokens, 0);
  assert.equal(tokens.length, 260);
  assert.ok(tokens.every((id) => id > 0 && id < 100));
  assert.ok(new Set(tokens).size > 80, `${new Set(tokens).size} different tokens`);
  assert.deepEqual(probeTokens(mute, 260).tokens, tokens);
});

test('what the text is too short for is filled up', () => {
  const { tokens, numTextTokens } = probeTokens({ ...tokenizer, encode: () => [1, 2, 3] }, 20);
  assert.deepEqual([tokens.length, numTextTokens], [20, 4]);
});

test('a vocabulary of nothing but markup is taken as it is', () => {
  const { tokens } = probeTokens({ ...tokenizer, addBos: false, isControl: () => true }, 5);
  assert.equal(tokens.length, 5);
});
