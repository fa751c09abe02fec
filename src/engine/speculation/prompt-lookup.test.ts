import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PromptLookup, type Evidence } from './prompt-lookup.ts';
import { createRandom } from './testing/random.ts';
import { novel } from './testing/texts.ts';

const DISTINCT = Array.from({ length: 40 }, (_, i) => 100 + i);

test('guesses what followed the last tokens before, and nothing where fewer than two of them stood together', () => {
  const lookup = new PromptLookup();
  assert.deepEqual(lookup.propose([...DISTINCT, 107, 108], 4), [109, 110, 111, 112]);
  assert.deepEqual(lookup.evidence, { numMatched: 2, isResumed: false });
  assert.deepEqual(new PromptLookup().propose([...DISTINCT, 107], 4), []);
  assert.deepEqual(new PromptLookup().propose([...DISTINCT, 107, 109], 4), []);
  assert.deepEqual(new PromptLookup().propose([1], 4), []);
});

test('takes the longest match, and the newest of those that are equally long', () => {
  const longest = [1, 2, 3, 4, 50, 9, 3, 4, 60, 8, 1, 2, 3, 4];
  assert.deepEqual(new PromptLookup().propose(longest, 1), [50]);
  const newest = [7, 3, 4, 50, 9, 3, 4, 60, 8, 3, 4];
  assert.deepEqual(new PromptLookup().propose(newest, 1), [60]);
});

test('finds a match of many tokens behind more short ones than it looks at', () => {
  const short = Array.from({ length: 100 }, (_, i) => [4, 5, 1000 + i]).flat();
  const tokens = [1, 2, 3, 4, 5, 77, ...short, 1, 2, 3, 4, 5];
  assert.deepEqual(new PromptLookup().propose(tokens, 1), [77]);
});

test('a guess that reaches the end of the sequence repeats itself', () => {
  assert.deepEqual(new PromptLookup().propose([9, 1, 2, 3, 1, 2, 3], 7), [1, 2, 3, 1, 2, 3, 1]);
  assert.deepEqual(new PromptLookup().propose([5, 5, 5], 3), [5, 5, 5]);
});

test('a copy goes on right behind replaced, inserted and dropped tokens', () => {
  const copied = DISTINCT.slice(0, 10);
  const follow = (added: readonly number[]): readonly number[] => {
    const lookup = new PromptLookup();
    const tokens = [...DISTINCT, ...copied];
    lookup.follow(tokens);
    for (const token of added) {
      tokens.push(token);
      lookup.follow(tokens);
    }
    return lookup.guess(3);
  };
  assert.deepEqual(follow([]), [110, 111, 112]);
  assert.deepEqual(follow([999]), [111, 112, 113], 'one token replaced');
  assert.deepEqual(follow([999, 998, 112]), [113, 114, 115], 'two tokens replaced');
  assert.deepEqual(follow([999, 110]), [111, 112, 113], 'one token inserted');
  assert.deepEqual(follow([113]), [114, 115, 116], 'three tokens dropped');
});

test('gives a copy up that does not go on', () => {
  const lookup = new PromptLookup();
  const tokens = [...DISTINCT, ...DISTINCT.slice(0, 10)];
  lookup.follow(tokens);
  for (let i = 0; i < 20; i++) {
    tokens.push(500 + i);
    lookup.follow(tokens);
  }
  assert.equal(lookup.evidence, undefined);
  tokens.push(112);
  assert.deepEqual(lookup.propose(tokens, 2), [], 'one token is no match any more');
});

test('after any growing, gone back to fewer or other tokens, guesses are those of a new lookup of the same tokens', () => {
  const random = createRandom(3);
  const randomTokens = (most: number): number[] =>
    Array.from({ length: 1 + Math.floor(random() * most) }, () => Math.floor(random() * 4));
  const lookup = new PromptLookup();
  let tokens = randomTokens(100);
  for (let i = 0; i < 500; i++) {
    tokens = [...tokens, ...randomTokens(30)];
    lookup.follow(tokens);
    tokens = tokens.slice(0, Math.floor(random() * tokens.length));
    if (random() < 0.3) tokens = tokens.map((token, j) => (j >= tokens.length - 40 ? (token + 1) % 4 : token));
    assert.deepEqual(lookup.propose(tokens, 5), new PromptLookup().propose(tokens, 5), `${tokens.length} tokens`);
  }
});

test('the observer hears of every guess once, except inside of the first tokens', () => {
  const heard: [Evidence, boolean][] = [];
  const lookup = new PromptLookup((evidence, isRight) => heard.push([evidence, isRight]));
  lookup.follow([1, 2, 3, 4, 5, 1, 2]);
  assert.deepEqual(heard, []);
  lookup.follow([1, 2, 3, 4, 5, 1, 2, 3, 9]);
  assert.deepEqual(heard, [
    [{ numMatched: 2, isResumed: false }, true],
    [{ numMatched: 3, isResumed: false }, false],
  ]);
});

test('a call reads the new tokens and a few dozen before them, however long the sequence is', () => {
  const text = novel();
  for (const length of [2000, 64_000]) {
    let numRead = 0;
    const tokens = new Proxy(
      Array.from({ length }, (_, i) => text[i % 2048] + (i >> 11)),
      {
        get(target, key, receiver): unknown {
          if (typeof key === 'string' && /^\d+$/.test(key)) numRead++;
          return Reflect.get(target, key, receiver);
        },
      },
    );
    const lookup = new PromptLookup();
    lookup.follow(tokens);
    numRead = 0;
    tokens.push(7, 8, 9);
    lookup.propose(tokens, 8);
    assert.ok(numRead < 60, `${numRead} of ${length} tokens were read`);
  }
});
