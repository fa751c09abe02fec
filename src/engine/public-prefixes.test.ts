import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PublicPrefixes } from './public-prefixes.ts';

test('a prompt that begins with a whole declared prefix is public as far as the longest one', () => {
  const prefixes = new PublicPrefixes();
  assert.equal(prefixes.lengthIn([1, 2, 3]), 0);
  const tokens = [1, 2, 3];
  prefixes.add(tokens);
  prefixes.add([1, 2]);
  prefixes.add([1, 2, 3, 4, 5]);
  prefixes.add([7]);
  const cases: [number[], number][] = [
    [[1, 2, 3, 4], 3],
    [[1, 2, 3, 4, 5], 5],
    [[1, 2, 9], 2],
    [[1], 0],
    [[7, 1, 2, 3], 1],
    [[], 0],
  ];
  for (const [prompt, length] of cases) assert.equal(prefixes.lengthIn(prompt), length, `${prompt.join()}`);
  tokens[0] = 9; // what was declared stays
  assert.equal(prefixes.lengthIn([1, 2, 3, 8]), 3);
});
