import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { StopStringFilter } from './stop-strings.ts';

interface Outcome {
  readonly text: string;
  readonly stopString: string | undefined;
  readonly tokenIds: number[];
}

/** Each chunk is one token, numbered from 0. */
function filter(stopStrings: readonly string[], chunks: readonly string[]): Outcome {
  const stops = new StopStringFilter(stopStrings);
  const pieces = chunks.map((text, id) => stops.push({ text, tokenIds: [id] }));
  pieces.push(stops.flush());
  const stopped = pieces.filter((piece) => piece.stopString !== undefined);
  assert.ok(stopped.length <= 1);
  return {
    text: pieces.map(({ text }) => text).join(''),
    stopString: stopped[0]?.stopString,
    tokenIds: pieces.flatMap(({ tokenIds }) => tokenIds),
  };
}

/** By definition, on the whole text: the first beginning, and there the shortest. */
function cut(stopStrings: readonly string[], text: string): Omit<Outcome, 'tokenIds'> {
  for (let index = 0; index < text.length; index++) {
    const here = stopStrings.filter((stopString) => text.startsWith(stopString, index));
    here.sort((a, b) => a.length - b.length);
    if (here.length > 0) return { text: text.slice(0, index), stopString: here[0] };
  }
  return { text, stopString: undefined };
}

describe('stop strings', () => {
  test('end the text before them, also across chunks', () => {
    assert.deepEqual(filter(['END'], ['one EN', 'D two']), { text: 'one ', stopString: 'END', tokenIds: [0, 1] });
    assert.deepEqual(filter(['END'], ['END']), { text: '', stopString: 'END', tokenIds: [0] });
    assert.deepEqual(filter(['\n\n'], ['a\n', 'b\n', '\n']), { text: 'a\nb', stopString: '\n\n', tokenIds: [0, 1, 2] });
  });

  test('text that may begin one is held back with its tokens, and given when it does not', () => {
    const stops = new StopStringFilter(['<end>']);
    assert.deepEqual(stops.push({ text: 'a<', tokenIds: [1] }), { text: 'a', tokenIds: [], stopString: undefined });
    assert.deepEqual(stops.push({ text: 'en', tokenIds: [2] }), { text: '', tokenIds: [], stopString: undefined });
    assert.deepEqual(stops.push({ text: 'x<', tokenIds: [3] }), {
      text: '<enx',
      tokenIds: [1, 2],
      stopString: undefined,
    });
    assert.deepEqual(stops.flush(), { text: '<', tokenIds: [3], stopString: undefined });
  });

  test('after one nothing is given', () => {
    const stops = new StopStringFilter(['.']);
    assert.deepEqual(stops.push({ text: 'a.b', tokenIds: [1] }), { text: 'a', tokenIds: [1], stopString: '.' });
    assert.deepEqual(stops.push({ text: 'c.', tokenIds: [2] }), { text: '', tokenIds: [], stopString: undefined });
    assert.deepEqual(stops.flush(), { text: '', tokenIds: [], stopString: undefined });
  });

  test('of several the one that begins first counts, also when another ends earlier', () => {
    assert.deepEqual(filter(['c', 'abcd'], ['xabc', 'd']), { text: 'x', stopString: 'abcd', tokenIds: [0, 1] });
    assert.deepEqual(filter(['c', 'abcd'], ['xabc', 'e']), { text: 'xab', stopString: 'c', tokenIds: [0, 1] });
    assert.deepEqual(filter(['c', 'abcd'], ['xabc']), { text: 'xab', stopString: 'c', tokenIds: [0] });
    assert.equal(filter(['abc', 'ab'], ['abc']).stopString, 'ab');
  });

  test('how the text is cut into chunks makes no difference, for 2,000 random texts', () => {
    const uniform = uniformStream(9);
    const letters = (length: number): string => Array.from({ length }, () => 'aab'[Math.floor(uniform() * 3)]).join('');
    let numStopped = 0;
    for (let i = 0; i < 2000; i++) {
      const stopStrings = Array.from({ length: 3 }, () => letters(2 + Math.floor(uniform() * 4)) + 'b');
      const chunks = Array.from({ length: 8 }, () => letters(Math.floor(uniform() * 4)));
      const { tokenIds, ...outcome } = filter(stopStrings, chunks);
      assert.deepEqual(outcome, cut(stopStrings, chunks.join('')), JSON.stringify({ stopStrings, chunks }));
      assert.deepEqual(
        tokenIds,
        tokenIds.map((_, id) => id),
      );
      if (outcome.stopString === undefined) assert.equal(tokenIds.length, chunks.length);
      else numStopped++;
    }
    assert.ok(numStopped > 200 && numStopped < 1800);
  });

  test('without any, all text passes at once', () => {
    const stops = new StopStringFilter([]);
    assert.deepEqual(stops.push({ text: 'abc', tokenIds: [1] }), { text: 'abc', tokenIds: [1], stopString: undefined });
  });

  test('an empty one is refused', () => {
    assert.throws(() => new StopStringFilter(['a', '']), {
      code: 'INVALID_OPTION',
      message: 'A stop string is empty, and would end every answer at once. Remove it.',
    });
  });
});
