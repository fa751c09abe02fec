import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ContentGuard, Disguise } from './content-guard.ts';

describe('content guard', () => {
  const guard = new ContentGuard(['<|end|>', '<|user|>', '|>x', '©']);

  test('ordinary text is not touched', () => {
    for (const text of ['', ' ', 'Hello, world', 'a < b || c > d', 'y|z', '<|nothing|> at all', 'user']) {
      assert.deepEqual(guard.exposedIndices(text), [], text);
    }
  });

  test('exposes the first character of every special token, overlapping, in capitals, of one character', () => {
    assert.deepEqual(guard.exposedIndices('a<|end|>b'), [1]);
    assert.deepEqual(guard.exposedIndices('a<|end|>xb'), [1, 6]);
    assert.deepEqual(guard.exposedIndices('a<|USER|>b'), [1]);
    assert.deepEqual(guard.exposedIndices('a©b©'), [1, 3]);
  });

  test('exposes the edges of text that begins or ends in the middle of one, whatever is trimmed', () => {
    assert.deepEqual(guard.exposedIndices('a<'), [1]);
    assert.deepEqual(guard.exposedIndices('a<|en \n'), [4]);
    assert.deepEqual(guard.exposedIndices('|>a'), [0]);
    assert.deepEqual(guard.exposedIndices('  nd|>a'), [2]);
    assert.deepEqual(guard.exposedIndices('<|'), [1]);
  });

  test('without special tokens exposes nothing', () => {
    assert.deepEqual(new ContentGuard([]).exposedIndices('<|end|>'), []);
  });
});

describe('disguise', () => {
  test('hides characters behind private-use ones that occur nowhere else, and reveals them', () => {
    const disguise = new Disguise(['\ue000 \ue002', '\u{f0000}']);
    const hidden = disguise.hide('<a😀<', [0, 2, 4]);
    assert.equal(hidden, '\ue001a\ue003\ue001');
    assert.equal(disguise.reveal(`\ue000${hidden}\ue002`), '\ue000<a😀<\ue002');
  });

  test('when every private-use character is taken, says so', () => {
    const range = (first: number, last: number): string =>
      Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)).join('');
    const basic = new Disguise([range(0xe000, 0xf8ff)]);
    assert.equal(basic.hide('<', [0]), '\u{f0000}');
    const full = new Disguise([range(0xe000, 0xf8ff), range(0xf0000, 0xffffd), range(0x100000, 0x10fffd)]);
    assert.equal(full.hide('<', []), '<');
    assert.throws(() => full.hide('<', [0]), { code: 'INVALID_OPTION', message: /every private-use character/ });
  });
});
