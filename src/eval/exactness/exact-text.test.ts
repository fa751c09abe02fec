import assert from 'node:assert/strict';
import { it } from 'node:test';
import { openTinyModel } from '../../engine/testing/tiny-engine.ts';
import { commonPrefixLength } from '../../engine/common-prefix.ts';
import { Tokenizer } from '../../tokens/tokenizer.ts';
import { ExactText } from './exact-text.ts';

const tokenizer = new Tokenizer((await openTinyModel()).tokenizerMetadata);
const text = new ExactText(tokenizer, 200);

it('goes on in another way from any token, with as many tokens as were asked for', () => {
  for (const numShared of [0, 1, 68, 199, 200]) {
    for (const numOwn of [1, 2, 9]) {
      const tokens = text.goOn(numShared, numOwn, numShared);
      assert.equal(tokens.length, numShared + numOwn);
      assert.equal(commonPrefixLength(tokens, text.tokens), numShared);
    }
  }
});

it('has other prompts of every length that differ from one another', () => {
  const others = Array.from({ length: 40 }, (_, index) => text.other(index, 90));
  assert.ok(others.every(({ length }) => length === 90));
  assert.equal(new Set(others.map(String)).size, others.length);
});

it('knows the ends of its pages that have two tokens after them', () => {
  assert.deepEqual(text.pageEnds({ pageSize: 64, numSinkTokens: 4 }), [68, 132, 196]);
  assert.deepEqual(new ExactText(tokenizer, 197).pageEnds({ pageSize: 64, numSinkTokens: 4 }), [68, 132]);
  assert.deepEqual(text.pageEnds({ pageSize: 64, numSinkTokens: 0 }), [64, 128, 192]);
});

it('compares every row of a short prompt, and some of a long one, the last always', () => {
  assert.deepEqual(text.positions(5, 2), [2, 3, 4]);
  const long = new ExactText(tokenizer, 1500);
  assert.deepEqual(long.positions(8), [0, 3, 6, 7]);
  assert.ok(long.positions(1500).length <= 513);
});
