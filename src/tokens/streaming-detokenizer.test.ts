import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { byteLevelMetadata, EMOJI, randomText, sentencePieceMetadata } from '../../test/support/vocabularies.ts';
import type { TextPiece } from './streaming-detokenizer.ts';
import { StreamingDetokenizer } from './streaming-detokenizer.ts';
import { TOKEN_TYPE } from './tokenizer-metadata.ts';
import { Tokenizer } from './tokenizer.ts';

/** The 256 bytes have ids 0 to 255. */
const special = [['<|end|>', TOKEN_TYPE.control]] as const;
const bytes = new Tokenizer(byteLevelMetadata({ pre: 'gpt-2', merges: ['â Ĥ', '¬ a', 'b â', 'é »'] }));
const marked = new Tokenizer(byteLevelMetadata({ pre: 'gpt-2', special }));
const END = 0;
const sentencePiece = new Tokenizer(sentencePieceMetadata(['▁', 'a', '▁a', '▁▁']));

function stream(tokenizer: Tokenizer, ids: readonly number[], options = {}): TextPiece[] {
  const detokenizer = new StreamingDetokenizer(tokenizer, options);
  return [...ids.map((id) => detokenizer.push(id)), detokenizer.flush()];
}

describe('streaming detokenizer', () => {
  test('gives a character when its last byte comes, and with it the tokens that it completes', () => {
    const ids = [0x61, 0xe2, 0x82, 0xac, 0x62];
    assert.deepEqual(stream(bytes, ids), [
      { text: 'a', tokenIds: [0x61] },
      { text: '', tokenIds: [] },
      { text: '', tokenIds: [] },
      { text: '€', tokenIds: [0xe2, 0x82, 0xac] },
      { text: 'b', tokenIds: [0x62] },
      { text: '', tokenIds: [] },
    ]);
  });

  test('a token that ends one character and begins another is completed by the other', () => {
    const [begin, end, both] = [256, 257, 258]; // E2 82 | AC 'a' | 'b' E2
    assert.deepEqual(stream(bytes, [both, 0x82, end, begin, 0xac]), [
      { text: 'b', tokenIds: [] },
      { text: '', tokenIds: [] },
      { text: '€a', tokenIds: [both, 0x82, end] },
      { text: '', tokenIds: [] },
      { text: '€', tokenIds: [begin, 0xac] },
      { text: '', tokenIds: [] },
    ]);
  });

  test('bytes that are no UTF-8 become U+FFFD as soon as that is certain, half a character at the end of the text', () => {
    assert.deepEqual(stream(bytes, [0x80, 0xf0, 0x41, 0xe2, 0x82]), [
      { text: '\ufffd', tokenIds: [0x80] },
      { text: '', tokenIds: [] },
      { text: '\ufffdA', tokenIds: [0xf0, 0x41] },
      { text: '', tokenIds: [] },
      { text: '', tokenIds: [] },
      { text: '\ufffd', tokenIds: [0xe2, 0x82] },
    ]);
  });

  test('a byte order mark is text', () => {
    assert.deepEqual(stream(bytes, [0xef, 0xbb, 0xbf]).at(2), { text: '\ufeff', tokenIds: [0xef, 0xbb, 0xbf] });
  });

  test('pieces together are the batch text, each id comes once and in order, for 300 random byte sequences', () => {
    const uniform = uniformStream(7);
    for (let i = 0; i < 300; i++) {
      // Many lead and continuation bytes, so that whole, broken and unfinished characters all occur.
      const ids = Array.from({ length: 20 }, () => Math.floor(uniform() ** 0.3 * 259));
      const pieces = stream(bytes, ids);
      assert.equal(pieces.map(({ text }) => text).join(''), bytes.decode(ids));
      assert.deepEqual(
        pieces.flatMap(({ tokenIds }) => tokenIds),
        ids,
      );
    }
  });

  test('no piece of random text ends in half a character, and every prefix flushes to the batch text', () => {
    const uniform = uniformStream(8);
    for (let i = 0; i < 50; i++) {
      const text = randomText(uniform, 12) + EMOJI;
      const ids = bytes.encode(text);
      for (const piece of stream(bytes, ids)) {
        assert.ok(piece.text.isWellFormed());
        assert.equal(piece.text.includes('\ufffd'), false);
      }
      for (let length = 0; length < ids.length; length++) {
        const prefix = ids.slice(0, length);
        assert.equal(
          stream(bytes, prefix)
            .map((piece) => piece.text)
            .join(''),
          bytes.decode(prefix),
        );
      }
    }
  });

  test('control tokens give no text unless asked for', () => {
    const [a] = marked.encode('a');
    assert.deepEqual(stream(marked, [a, END]), [
      { text: 'a', tokenIds: [a] },
      { text: '', tokenIds: [END] },
      { text: '', tokenIds: [] },
    ]);
    assert.equal(stream(marked, [END], { skipSpecial: false })[0].text, '<|end|>');
  });

  test('takes away the leading space that a SentencePiece vocabulary adds, and no other', () => {
    const [space, spaceA, twoSpaces] = [259, 261, 262];
    const texts = (ids: number[]): string[] => stream(sentencePiece, ids).map(({ text }) => text);
    assert.deepEqual(texts([spaceA, spaceA]), ['a', ' a', '']);
    assert.deepEqual(texts([space, spaceA]), ['', ' a', '']);
    assert.deepEqual(texts([twoSpaces]), [' ', '']);
    assert.deepEqual(texts([2, spaceA]), ['', 'a', '']);
  });

  test('an id outside the vocabulary is refused, and the text goes on after it', () => {
    const detokenizer = new StreamingDetokenizer(bytes);
    detokenizer.push(0xe2);
    assert.throws(() => detokenizer.push(999), { code: 'INVALID_OPTION' });
    detokenizer.push(0x82);
    assert.deepEqual(detokenizer.push(0xac), { text: '€', tokenIds: [0xe2, 0x82, 0xac] });
  });
});
