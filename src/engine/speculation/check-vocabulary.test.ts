import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSameVocabulary } from './check-vocabulary.ts';

const METADATA = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.tokens': ['a', 'b', '<end>', 'ab'],
  'tokenizer.ggml.token_type': [1, 1, 3, 1],
  'tokenizer.ggml.merges': ['a b'],
  'tokenizer.ggml.eos_token_id': 2,
  'tokenizer.ggml.bos_token_id': 2,
};

function check(changes: object): void {
  checkSameVocabulary(
    { name: 'Large', tokenizerMetadata: METADATA },
    { name: 'Small', tokenizerMetadata: { ...METADATA, ...changes } },
  );
}

test('the same vocabulary passes, whatever else differs', () => {
  check({});
  check({ 'tokenizer.chat_template': 'other', 'tokenizer.ggml.add_bos_token': true });
});

test('other tokens and other special tokens are refused with the first difference, and what to do', () => {
  const refused = (changes: object, difference: string): void => {
    const message =
      `the draft model "Small" cannot draft for "Large": ${difference}; use a smaller model of the same family, ` +
      'or leave draftModel out and speculate by lookup';
    assert.throws(() => check(changes), { code: 'MODEL_UNSUPPORTED', message });
  };
  const tokens = 'tokenizer.ggml.tokens';
  refused({ [tokens]: ['a', 'b', '<end>'], 'tokenizer.ggml.token_type': [1, 1, 3] }, 'it has 3 tokens instead of 4');
  refused({ [tokens]: ['a', 'b', '<eos>', 'ab'] }, 'its token 2 is "<eos>" instead of "<end>"');
  refused({ 'tokenizer.ggml.eos_token_id': 1 }, 'its EOS token is 1 instead of 2');
  refused({ 'tokenizer.ggml.eot_token_id': 2 }, 'its end-of-turn token is 2 instead of none');
});
