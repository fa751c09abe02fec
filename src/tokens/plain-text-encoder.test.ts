import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { EMOJI, randomText, sentencePieceMetadata } from '../../test/support/vocabularies.ts';
import { Tokenizer } from './tokenizer.ts';

const CONTROL = 3; // <unk>, <s>, </s>
const PIECES = CONTROL + 256;

/** SentencePiece by its definition: join the neighbours that make the piece of the highest score, the leftmost first. */
function sentencePieceIds(text: string, pieces: readonly string[]): number[] {
  const score = new Map(pieces.map((piece, index) => [piece, -index]));
  const symbols = [...` ${text}`.replaceAll(' ', '▁')];
  for (;;) {
    let best = -1;
    let bestScore = -Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const joined = score.get(symbols[i] + symbols[i + 1]) ?? -Infinity;
      if (joined > bestScore) [best, bestScore] = [i, joined];
    }
    if (best < 0) break;
    symbols.splice(best, 2, symbols[best] + symbols[best + 1]);
  }
  return symbols.flatMap((symbol) => {
    const index = pieces.indexOf(symbol);
    return index >= 0 ? [PIECES + index] : [...new TextEncoder().encode(symbol)].map((byte) => CONTROL + byte);
  });
}

const words = [
  '▁',
  'a',
  'b',
  'c',
  'd',
  '▁a',
  'ab',
  'bc',
  '▁ab',
  'abc',
  'cd',
  '▁▁',
  '▁▁▁▁',
  'aa',
  'abcd',
  '▁cd',
  '日',
  '日a',
];

describe('SentencePiece vocabularies', () => {
  test('give the ids of the definition for 500 random texts', () => {
    const tokenizer = new Tokenizer(sentencePieceMetadata(words));
    const uniform = uniformStream(4);
    for (let i = 0; i < 500; i++) {
      const text = Array.from({ length: 24 }, () => 'aabbccd  日é'[Math.floor(uniform() * 11)]).join('');
      assert.deepEqual(tokenizer.encode(text), sentencePieceIds(text, words), JSON.stringify(text));
    }
  });

  test('the same where pieces have spaces inside, so that words cannot be merged apart', () => {
    const spaced = [...words, 'b▁', 'b▁a', '▁b▁'];
    const tokenizer = new Tokenizer(sentencePieceMetadata(spaced));
    assert.deepEqual(tokenizer.encode('b b'), sentencePieceIds('b b', spaced));
    const uniform = uniformStream(5);
    for (let i = 0; i < 500; i++) {
      const text = Array.from({ length: 16 }, () => 'aabbc  '[Math.floor(uniform() * 7)]).join('');
      assert.deepEqual(tokenizer.encode(text), sentencePieceIds(text, spaced), JSON.stringify(text));
    }
  });

  test('joins characters that are no pieces by themselves', () => {
    const pieces = ['xy', '😀!'];
    const tokenizer = new Tokenizer({ ...sentencePieceMetadata(pieces), 'tokenizer.ggml.add_space_prefix': false });
    assert.deepEqual(tokenizer.encode('xy😀!'), [PIECES, PIECES + 1]);
  });

  test('falls back to bytes, and any text comes back', () => {
    const tokenizer = new Tokenizer(sentencePieceMetadata(words));
    assert.deepEqual(tokenizer.encode('é'), [PIECES, CONTROL + 0xc3, CONTROL + 0xa9]);
    const uniform = uniformStream(6);
    for (let i = 0; i < 200; i++) {
      // U+2581 is how these vocabularies write a space.
      const text = randomText(uniform, 40).replaceAll('\u2581', '');
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }
    for (const text of [EMOJI, ' leading', '   ', 'trailing  ', '\n\n a']) {
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }
  });

  test('a byte token that the text spells out stays text', () => {
    const tokenizer = new Tokenizer(sentencePieceMetadata(words));
    assert.equal(tokenizer.encode('<0x0A>').includes(CONTROL + 0x0a), false);
    assert.equal(tokenizer.decode(tokenizer.encode('<0x0A>')), '<0x0A>');
  });

  test('adds a space at the start and after special tokens only, and not at all where the file says so', () => {
    const metadata = sentencePieceMetadata(words);
    const tokenizer = new Tokenizer(metadata);
    const [a, spaceA] = [PIECES + 1, PIECES + 5];
    assert.deepEqual(tokenizer.encode('a</s>a', { parseSpecial: true }), [spaceA, 2, spaceA]);
    assert.equal(tokenizer.decode([spaceA, 2, spaceA], { skipSpecial: false }), 'a</s>a');
    const without = new Tokenizer({ ...metadata, 'tokenizer.ggml.add_space_prefix': false });
    assert.deepEqual(without.encode('a</s>a', { parseSpecial: true }), [a, 2, a]);
    assert.equal(without.decode([spaceA, a]), ' aa');
  });

  test('merges never make a control token, whatever its parts', () => {
    const tokenizer = new Tokenizer(sentencePieceMetadata(['<', 's', '>', '<s', 's>']));
    assert.equal(tokenizer.encode('<s>').includes(1), false);
  });

  test('a piece named __proto__ is a piece like any other', () => {
    const pieces = ['▁', '_', 'p', 'r', 'o', 't', '__', 'pr', 'pro', 'prot', 'proto', '__proto', '__proto__'];
    const tokenizer = new Tokenizer(sentencePieceMetadata(pieces));
    assert.deepEqual(tokenizer.encode('__proto__'), [PIECES, PIECES + 12]);
  });

  test('what neither pieces nor bytes can express becomes the unknown token', () => {
    const metadata = {
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '▁', 'a'],
      'tokenizer.ggml.token_type': [2, 3, 3, 1, 1],
      'tokenizer.ggml.scores': [0, 0, 0, 0, 0],
    };
    assert.deepEqual(new Tokenizer(metadata).encode('aé'), [3, 4, 0]);
  });
});
