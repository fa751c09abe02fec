import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { byteLevelMetadata } from '../../test/support/vocabularies.ts';
import { preTokenizerOf } from './pre-tokenizers.ts';
import { Tokenizer } from './tokenizer.ts';

/** Merges that join whatever stands in one word: what stays apart shows where words were cut. */
const merges = [
  '1 2',
  '12 3',
  '123 4',
  "' L",
  "'L L",
  'o o',
  'oo B',
  '! Ċ',
  'Ċ Ċ',
  'Ġ Ġ',
  '$ !',
  'Â ħ',
  'a Âħ',
  'ï »',
  'ï» ¿',
];

function words(pre: string, text: string): string[] {
  const tokenizer = new Tokenizer(byteLevelMetadata({ pre, merges, whole: ['whole'] }));
  return tokenizer
    .encode(text)
    .map((id) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(tokenizer.tokenBytes(id)));
}

describe('pre-tokenizers', () => {
  test('cut numbers each their own way', () => {
    const numbers = {
      'gpt-2': ['1234'],
      smollm: ['1', '2', '3', '4'],
      starcoder: ['1', '2', '3', '4'],
      'command-r': ['1', '2', '3', '4'],
      'llama-bpe': ['123', '4'],
      qwen2: ['1', '2', '3', '4'],
      default: ['123', '4'],
      falcon: ['123', '4'],
      tekken: ['1', '2', '3', '4'],
      'gpt-4o': ['123', '4'],
    };
    for (const [pre, expected] of Object.entries(numbers)) assert.deepEqual(words(pre, '1234'), expected, pre);
  });

  test('keep contractions in capitals, capital letters and line ends together or apart', () => {
    assert.deepEqual(words('gpt-2', "'LL"), ["'", 'L', 'L']);
    assert.deepEqual(words('llama-bpe', "'LL"), ["'LL"]);
    assert.deepEqual(words('llama-bpe', 'ooB'), ['ooB']);
    assert.deepEqual(words('gpt-4o', 'ooB'), ['oo', 'B']);
    assert.deepEqual(words('gpt-2', '!\n\n'), ['!', '\n\n']);
    assert.deepEqual(words('qwen2', '!\n\n'), ['!\n', '\n']);
    assert.deepEqual(words('default', '$!'), ['$!']);
  });

  test("of Qwen2 take contractions in either case, and compose text, which others of their kind don't", () => {
    assert.deepEqual(words('qwen2', "'LL"), ["'LL"]);
    const ids = (pre: string, text: string): number[] => new Tokenizer(byteLevelMetadata({ pre })).encode(text);
    assert.deepEqual(ids('qwen2', 'e\u0301 \u1100\u1161'), ids('qwen2', '\u00e9 \uac00'));
    for (const pre of ['stablelm2', 'deepseek-r1-qwen', 'llama-bpe', 'gpt-2']) {
      assert.equal(ids(pre, 'e\u0301').length, 3, pre);
    }
  });

  test('leave the last of several spaces to the next word', () => {
    for (const pre of ['gpt-2', 'smollm', 'llama-bpe', 'qwen2', 'default']) {
      assert.deepEqual(words(pre, 'a   b'), ['a', '  ', ' ', 'b'], pre);
    }
  });

  test('count U+0085 as a space and U+FEFF as none, as Unicode does and JavaScript does not', () => {
    assert.equal(words('gpt-2', 'a\u0085').length, 2);
    assert.deepEqual(words('gpt-2', '\ufeff!'), ['\ufeff', '!']);
    assert.deepEqual(words('gpt-2', ' \ufeff'), [' ', '\ufeff']);
  });

  test('of the Llama 3 kind take a word whole that is a token, others merge it', () => {
    for (const pre of ['llama3', 'llama-v3', 'llama-bpe', 'tekken'])
      assert.deepEqual(words(pre, 'whole'), ['whole'], pre);
    for (const pre of ['qwen2', 'smollm', 'dbrx']) assert.equal(words(pre, 'whole').length, 5, pre);
  });

  test('are all patterns that compile', () => {
    for (const pre of [
      'olmo',
      'refact',
      'exaone',
      'stablelm2',
      'falcon3',
      'smaug-bpe',
      'chatglm-bpe',
      'llama4',
      'lfm2',
    ]) {
      assert.equal(words(pre, "It's 12 o'clock,\r\n  OK?").join(''), "It's 12 o'clock,\r\n  OK?", pre);
    }
  });

  test('unnamed means default, unknown is refused by name', () => {
    assert.equal(preTokenizerOf(undefined), preTokenizerOf('default'));
    assert.throws(() => preTokenizerOf('tomorrow'), {
      code: 'MODEL_UNSUPPORTED',
      message:
        /^The model's pre-tokenizer 'tomorrow' \(tokenizer\.ggml\.pre\) is not supported\. Supported: default, gpt-2, /,
    });
    assert.throws(() => words('constructor', ''), { code: 'MODEL_UNSUPPORTED' });
  });
});
