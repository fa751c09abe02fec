import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { uniformStream } from '../../test/random-data.ts';
import { readTokenizerCases, referenceFolder } from '../../test/support/reference.ts';
import {
  byteLevelMetadata,
  EMOJI,
  randomText,
  sentencePieceMetadata,
  smolLm2Metadata,
} from '../../test/support/vocabularies.ts';
import { TOKEN_TYPE } from './tokenizer-metadata.ts';
import { Tokenizer } from './tokenizer.ts';

const cases = await readTokenizerCases(referenceFolder('smollm2'));
const metadata = await smolLm2Metadata();
const smolLm2 = new Tokenizer(metadata);

describe('the embedded model', () => {
  test('all 64 reference texts give the ids of llama.cpp, special tokens as plain text', () => {
    assert.equal(cases.length, 64);
    for (const { text, ids } of cases) assert.deepEqual(smolLm2.encode(text), ids, JSON.stringify(text));
  });

  test('all 64 reference texts give the ids of llama.cpp, special tokens parsed', () => {
    for (const { text, ids, ids_special = ids } of cases) {
      assert.deepEqual(smolLm2.encode(text, { parseSpecial: true }), ids_special, JSON.stringify(text));
    }
  });

  test('the ids of all 64 reference texts decode to the texts', () => {
    for (const { text, ids, ids_special = ids } of cases) {
      assert.equal(smolLm2.decode(ids), text);
      assert.equal(smolLm2.decode(ids_special, { skipSpecial: false }), text);
    }
  });

  test('random text comes back, but for the 21 bytes that the vocabulary lacks', () => {
    assert.deepEqual(smolLm2.missingBytes.slice(0, 8), [0x04, 0x06, 0x13, 0x14, 0x16, 0x1d, 0xc0, 0xc1]);
    assert.equal(smolLm2.missingBytes.length, 21);
    const missing = new Set(smolLm2.missingBytes);
    const isWhole = (character: string): boolean =>
      new TextEncoder().encode(character).every((byte) => !missing.has(byte));
    const uniform = uniformStream(1);
    for (let i = 0; i < 200; i++) {
      const text = [...randomText(uniform, 60)].filter(isWhole).join('');
      assert.equal(smolLm2.decode(smolLm2.encode(text)), text);
    }
    assert.deepEqual(smolLm2.encode('a\u0004b'), smolLm2.encode('a').concat(smolLm2.encode('b')));
  });

  test('what it says of itself', () => {
    assert.equal(smolLm2.vocabularySize, 49152);
    assert.equal(smolLm2.bosId, 1);
    assert.equal(smolLm2.eosId, 2);
    assert.equal(smolLm2.addBos, false);
    assert.deepEqual([...smolLm2.endIds].map((id) => smolLm2.tokenText(id)).sort(), [
      '<reponame>',
      '<|endoftext|>',
      '<|im_end|>',
    ]);
    assert.equal(smolLm2.isControl(1), true);
    assert.equal(smolLm2.isControl(198), false);
  });

  test('bytes of tokens: half a character, a space, the name of a control token', () => {
    assert.deepEqual([...smolLm2.tokenBytes(218)], [0x80]);
    assert.deepEqual([...smolLm2.tokenBytes(216)], [0x20]);
    assert.equal(new TextDecoder().decode(smolLm2.tokenBytes(2)), '<|im_end|>');
  });

  test('the vocabulary of 49,152 tokens is ready in under 1,000 ms (a tenth of it on an idle machine)', () => {
    const start = performance.now();
    new Tokenizer(metadata);
    assert.ok(performance.now() - start < 1000);
  });
});

describe('byte-level vocabularies', () => {
  const tokenizer = new Tokenizer(byteLevelMetadata({ pre: 'gpt-2', merges: ['Ġ t', 'h e', 'Ġt he'] }));

  test('any text comes back, random or of joined emoji', () => {
    const uniform = uniformStream(2);
    for (let i = 0; i < 300; i++) {
      const text = randomText(uniform, 50);
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
    }
    assert.equal(tokenizer.decode(tokenizer.encode(EMOJI)), EMOJI);
    assert.equal(tokenizer.decode(tokenizer.encode('\ufeffbom')), '\ufeffbom');
    assert.deepEqual(tokenizer.missingBytes, []);
  });

  test('empty text gives no ids, no ids give no text', () => {
    assert.deepEqual(tokenizer.encode(''), []);
    assert.equal(tokenizer.decode([]), '');
  });

  test('half a surrogate pair is encoded as U+FFFD', () => {
    assert.equal(tokenizer.decode(tokenizer.encode('a\ud800b')), 'a\ufffdb');
  });

  test('any bytes decode as TextDecoder decodes them', () => {
    const uniform = uniformStream(3);
    for (let i = 0; i < 300; i++) {
      const bytes = Uint8Array.from({ length: 12 }, () => Math.floor(uniform() * 256));
      const ids = [...bytes]; // the 256 byte tokens are the first
      assert.equal(tokenizer.decode(ids), new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
    }
  });

  test('an id outside the vocabulary is refused by number and size', () => {
    for (const id of [-1, 259, 1.5, Number.NaN]) {
      const message = `Token id ${id} is outside the model's vocabulary of 259 tokens (0 to 258).`;
      assert.throws(() => tokenizer.decode([id]), { code: 'INVALID_OPTION', message });
      assert.throws(() => tokenizer.tokenBytes(id), { code: 'INVALID_OPTION', message });
    }
  });

  test('tokens named like properties of objects are tokens like any other', () => {
    const odd = new Tokenizer(byteLevelMetadata({ pre: 'llama-bpe', whole: ['constructor', 'toString', 'proto'] }));
    assert.deepEqual(odd.encode('constructor'), [256]);
    assert.deepEqual(odd.encode('toString'), [257]);
    assert.equal(odd.decode(odd.encode('hasOwnProperty __proto__')), 'hasOwnProperty __proto__');
  });
});

describe('special tokens', () => {
  const special = [
    ['<|end|>', TOKEN_TYPE.control],
    ['<|end|>>', TOKEN_TYPE.control],
    ['<tool>', TOKEN_TYPE.userDefined],
    ['[PAD1]', TOKEN_TYPE.unused],
  ] as const;
  const tokenizer = new Tokenizer(byteLevelMetadata({ pre: 'gpt-2', special, merges: ['< |'] }));

  test('are text unless they are asked for, and then the longest counts', () => {
    assert.equal(tokenizer.encode('a<|end|>').includes(0), false);
    assert.equal(tokenizer.decode(tokenizer.encode('a<|end|>b')), 'a<|end|>b');
    const [a] = tokenizer.encode('a');
    assert.deepEqual(tokenizer.encode('a<|end|>a<|end|>>', { parseSpecial: true }), [a, 0, a, 1]);
  });

  test('user-defined ones are found either way, and are shown', () => {
    assert.deepEqual(tokenizer.encode('<tool>'), [2]);
    assert.equal(tokenizer.decode([2, 0]), '<tool>');
    assert.equal(tokenizer.decode([2, 0], { skipSpecial: false }), '<tool><|end|>');
  });

  test('unused ones are never made and show nothing', () => {
    assert.equal(tokenizer.encode('[PAD1]', { parseSpecial: true }).includes(3), false);
    assert.equal(tokenizer.decode([3], { skipSpecial: false }), '');
    assert.equal(tokenizer.isControl(3), false);
  });

  test('merges cannot make one', () => {
    const merges = ['< s', '<s >'];
    const normal = byteLevelMetadata({
      pre: 'gpt-2',
      merges: merges.slice(0, 1),
      special: [['<s>', TOKEN_TYPE.control]],
    });
    const hostile = new Tokenizer({ ...normal, 'tokenizer.ggml.merges': merges });
    assert.equal(hostile.encode('<s>').includes(0), false);
    assert.equal(hostile.decode(hostile.encode('<s>')), '<s>');
  });

  test('known ends of a turn are control tokens though the file calls them normal', () => {
    const careless = new Tokenizer(byteLevelMetadata({ pre: 'gpt-2', special: [['<|im_end|>', TOKEN_TYPE.normal]] }));
    assert.deepEqual([...careless.endIds], [0]);
    assert.equal(careless.isControl(0), true);
    assert.equal(careless.encode('<|im_end|>').includes(0), false);
    assert.deepEqual(careless.encode('<|im_end|>', { parseSpecial: true }), [0]);
  });

  test('a normal token that the file names as EOS ends the answer and stays text', () => {
    const newline = { ...byteLevelMetadata({ pre: 'gpt-2' }), 'tokenizer.ggml.eos_token_id': 10 };
    const tokenizer = new Tokenizer(newline);
    assert.deepEqual([...tokenizer.endIds], [10]);
    assert.deepEqual(tokenizer.encode('\n'), [10]);
  });

  test('EOS, end of turn and end of message end the answer; in the harmony format <|end|> does not', () => {
    const ends = byteLevelMetadata({
      pre: 'gpt-2',
      special: ['<a>', '<b>', '<c>', '<|end|>', '<|return|>', '<|call|>'].map((text) => [text, TOKEN_TYPE.control]),
    });
    const named = { eos_token_id: 0, eot_token_id: 1n, eom_token_id: 2 };
    for (const [name, id] of Object.entries(named)) Object.assign(ends, { [`tokenizer.ggml.${name}`]: id });
    assert.deepEqual([...new Tokenizer(ends).endIds], [0, 1, 2, 4, 5]);
  });
});

describe('BOS', () => {
  const bos = [['<s>', TOKEN_TYPE.control]] as const;

  test('is wanted where the file says so, or the pre-tokenizer usually has it; encode never adds it', () => {
    const addBos = (pre: string, more: Record<string, unknown>): boolean =>
      new Tokenizer({ ...byteLevelMetadata({ pre, special: bos }), ...more }).addBos;
    const bosId = { 'tokenizer.ggml.bos_token_id': 0 };
    assert.equal(addBos('gpt-2', bosId), false);
    assert.equal(addBos('gpt-2', { ...bosId, 'tokenizer.ggml.add_bos_token': true }), true);
    assert.equal(addBos('llama-bpe', bosId), true);
    assert.equal(addBos('llama-bpe', { ...bosId, 'tokenizer.ggml.add_bos_token': false }), false);
    assert.equal(addBos('llama-bpe', {}), false);
    const sentencePiece = new Tokenizer(sentencePieceMetadata(['a']));
    assert.equal(sentencePiece.addBos, true);
    assert.equal(sentencePiece.bosId, 1);
    assert.deepEqual(sentencePiece.encode(''), []);
  });

  test('wanted but unnamed is refused', () => {
    const without = { ...byteLevelMetadata({ pre: 'gpt-2' }), 'tokenizer.ggml.add_bos_token': true };
    assert.throws(() => new Tokenizer(without), { code: 'MODEL_INVALID', message: /bos_token_id is missing/ });
  });
});
