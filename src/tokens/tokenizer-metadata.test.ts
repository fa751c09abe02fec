import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { byteLevelMetadata, sentencePieceMetadata } from '../../test/support/vocabularies.ts';
import { readTokenizerMetadata, TOKEN_TYPE } from './tokenizer-metadata.ts';
import { Tokenizer } from './tokenizer.ts';

const byteLevel = byteLevelMetadata({ pre: 'gpt-2', merges: ['a b'] });
const sentencePiece = sentencePieceMetadata(['a']);

/** Asserts that metadata with these changes are refused in words that match. */
function assertRefused(metadata: Record<string, unknown>, changes: Record<string, unknown>, message: RegExp): void {
  const code = /not supported/.test(message.source) ? 'MODEL_UNSUPPORTED' : 'MODEL_INVALID';
  const changed = { ...metadata };
  for (const [key, value] of Object.entries(changes)) changed[`tokenizer.ggml.${key}`] = value;
  assert.throws(() => new Tokenizer(changed), { name: 'KvantError', code, message });
}

describe('tokenizer metadata', () => {
  test('missing keys are refused by name', () => {
    assertRefused(byteLevel, { model: undefined }, /tokenizer\.ggml\.model is missing/);
    assertRefused(byteLevel, { tokens: undefined }, /tokenizer\.ggml\.tokens is missing/);
    assertRefused(byteLevel, { merges: undefined }, /tokenizer\.ggml\.merges is missing/);
    assertRefused(sentencePiece, { scores: undefined }, /tokenizer\.ggml\.scores is missing/);
  });

  test('wrong types are refused by name and place', () => {
    assertRefused(byteLevel, { model: 7 }, /tokenizer\.ggml\.model is not a string/);
    assertRefused(byteLevel, { pre: 7 }, /tokenizer\.ggml\.pre is not a string/);
    assertRefused(byteLevel, { tokens: 'abc' }, /tokenizer\.ggml\.tokens is not an array/);
    assertRefused(byteLevel, { tokens: [] }, /tokenizer\.ggml\.tokens is empty/);
    assertRefused(
      byteLevel,
      { tokens: ['a', 7] },
      /tokenizer\.ggml\.tokens holds something other than a string at index 1/,
    );
    assertRefused(
      byteLevel,
      { merges: [null] },
      /tokenizer\.ggml\.merges holds something other than a string at index 0/,
    );
    assertRefused(byteLevel, { add_bos_token: 1 }, /tokenizer\.ggml\.add_bos_token is not a boolean/);
    assertRefused(byteLevel, { eos_token_id: '1' }, /tokenizer\.ggml\.eos_token_id is not a number/);
    assertRefused(sentencePiece, { scores: {} }, /tokenizer\.ggml\.scores is not an array/);
  });

  test('fields that contradict each other are refused', () => {
    assertRefused(byteLevel, { token_type: [1] }, /tokenizer\.ggml\.token_type holds 1 values for 257 tokens/);
    assertRefused(byteLevel, { eos_token_id: 257 }, /eos_token_id is 257, outside the vocabulary of 257 tokens/);
    assertRefused(byteLevel, { bos_token_id: -1 }, /bos_token_id is -1, outside/);
    assertRefused(byteLevel, { merges: ['ab'] }, /merges holds 'ab' at index 0, not two tokens joined by a space/);
    assertRefused(byteLevel, { merges: ['a b', 'a '] }, /merges holds 'a ' at index 1, not two tokens/);
    assertRefused(byteLevel, { merges: ['a b', 'b a'] }, /merges makes 'ba' at index 1, which is no token/);
    const scores = sentencePiece['tokenizer.ggml.scores'].map((score, id) => (id === 3 ? Number.NaN : score));
    assertRefused(sentencePiece, { scores }, /scores holds something other than a number at index 3/);
    assertRefused(sentencePiece, { scores: [0] }, /scores holds 1 values for 260 tokens/);
  });

  test('a token that is there twice, and a byte token without a byte, are refused', () => {
    const twice = { model: 'llama', tokens: ['<unk>', 'a', 'a'], token_type: [2, 1, 1], scores: [0, 0, 0] };
    assertRefused({}, twice, /tokenizer\.ggml\.tokens holds 'a' twice, at index 1 and 2/);
    const noByte = { ...twice, tokens: ['<unk>', 'a', '<0xZZ>'], token_type: [2, 1, 6] };
    assertRefused({}, noByte, /tokens holds '<0xZZ>' at index 2, a byte token that is not like <0x0A>/);
  });

  test('other kinds of tokenizer are refused by name', () => {
    assertRefused(
      byteLevel,
      { model: 'bert' },
      /The model's tokenizer 'bert' \(tokenizer\.ggml\.model\) is not supported/,
    );
    assertRefused(byteLevel, { pre: 'bloom' }, /pre-tokenizer 'bloom' \(tokenizer\.ggml\.pre\) is not supported/);
  });

  test('the message says what to do', () => {
    assertRefused(byteLevel, { tokens: undefined }, /Download the file again, or convert the model anew\.$/);
  });

  test('numbers may be bigint, arrays may be typed, types may be absent, empty tokens are unused', () => {
    const read = readTokenizerMetadata({
      ...sentencePiece,
      'tokenizer.ggml.scores': Float32Array.from(sentencePiece['tokenizer.ggml.scores']),
      'tokenizer.ggml.eos_token_id': 1n,
    });
    assert.equal(read.eosId, 1);
    assert.equal(read.bosId, 1);
    assert.equal(read.scores?.length, 260);
    const bare = readTokenizerMetadata({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.tokens': ['a', '', ''],
      'tokenizer.ggml.merges': [],
    });
    assert.deepEqual([...bare.tokenTypes], [TOKEN_TYPE.normal, TOKEN_TYPE.unused, TOKEN_TYPE.unused]);
    assert.equal(bare.eosId, undefined);
  });
});
