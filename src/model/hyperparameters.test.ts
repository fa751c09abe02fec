import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetadataValue } from '@huggingface/gguf';
import type { ErrorCode } from '../errors.ts';
import { readHyperparameters } from './hyperparameters.ts';

const BASE: Record<string, MetadataValue> = {
  'general.architecture': 'llama',
  'llama.block_count': 30,
  'llama.context_length': 8192,
  'llama.embedding_length': 576,
  'llama.feed_forward_length': 1536,
  'llama.attention.head_count': 9,
  'llama.attention.layer_norm_rms_epsilon': 1e-5,
  'llama.vocab_size': 100,
};

type Changes = Record<string, MetadataValue | undefined>;

function read(changes: Changes = {}) {
  const metadata = Object.entries({ ...BASE, ...changes }).filter(([, value]) => value !== undefined);
  return readHyperparameters('m.gguf', Object.fromEntries(metadata) as Record<string, MetadataValue>);
}

function refuses(changes: Changes, code: ErrorCode, message: RegExp): void {
  assert.throws(() => read(changes), { name: 'KvantError', code, message });
}

describe('readHyperparameters', () => {
  it("takes llama.cpp's defaults for what is absent", () => {
    assert.deepEqual(read(), {
      architecture: 'llama',
      numLayers: 30,
      embeddingLength: 576,
      feedForwardLength: 1536,
      numHeads: 9,
      numKvHeads: 9,
      headDim: 64,
      ropeDim: 64,
      ropeBase: 10_000,
      ropeScalingFactor: 1,
      rmsEpsilon: 1e-5,
      contextLength: 8192,
      vocabularySize: 100,
    });
  });

  it('reads every key, and integers of 64 bits', () => {
    const found = read({
      'llama.block_count': 4n,
      'llama.attention.head_count': 2n,
      'llama.attention.head_count_kv': 1n,
      'llama.attention.key_length': 256n,
      'llama.attention.value_length': 256,
      'llama.rope.dimension_count': 128,
      'llama.rope.freq_base': 500_000,
    });
    const { numLayers, numHeads, numKvHeads, headDim, ropeDim, ropeBase } = found;
    assert.deepEqual([numLayers, numHeads, numKvHeads, headDim, ropeDim, ropeBase], [4, 2, 1, 256, 128, 500_000]);
  });

  it('counts the tokens rather than trust vocab_size', () => {
    assert.equal(read({ 'tokenizer.ggml.tokens': ['a', 'b', 'c'] }).vocabularySize, 3);
    refuses(
      { 'llama.vocab_size': undefined },
      'MODEL_INVALID',
      /^"m.gguf" has no vocabulary \(metadata key "tokenizer.ggml.tokens"\)/,
    );
  });

  it('reads linear RoPE scaling under its old and new names', () => {
    assert.equal(read({ 'llama.rope.scaling.type': 'linear', 'llama.rope.scaling.factor': 4 }).ropeScalingFactor, 4);
    assert.equal(read({ 'llama.rope.scale_linear': 2.5 }).ropeScalingFactor, 2.5);
    assert.equal(read({ 'llama.rope.scaling.type': 'none', 'llama.rope.scaling.factor': 4 }).ropeScalingFactor, 1);
    assert.equal(read({ 'llama.rope.scaling.factor': 0 }).ropeScalingFactor, 1);
    refuses(
      { 'llama.rope.scaling.type': 'yarn' },
      'MODEL_UNSUPPORTED',
      /scales RoPE by "yarn"; Kvant knows none, linear/,
    );
  });

  it('takes values per layer where all are equal', () => {
    const found = read({ 'llama.attention.head_count_kv': [3, 3, 3], 'llama.feed_forward_length': [64n, 64n] });
    assert.deepEqual([found.numKvHeads, found.feedForwardLength], [3, 64]);
    const differ = { 'llama.attention.head_count_kv': [3, 9, 3] };
    refuses(differ, 'MODEL_UNSUPPORTED', /a "llama.attention.head_count_kv" of its own for each layer/);
    refuses({ 'llama.attention.head_count': [] }, 'MODEL_INVALID', /"llama.attention.head_count"/);
  });

  it('refuses other architectures, and names those that it runs', () => {
    refuses(
      { 'general.architecture': 'gpt2' },
      'MODEL_UNSUPPORTED',
      /^"m.gguf" has the architecture "gpt2"; supported: llama, qwen2, qwen3$/,
    );
    refuses({ 'general.architecture': 'toString' }, 'MODEL_UNSUPPORTED', /architecture "toString"/);
    refuses({ 'general.architecture': undefined }, 'MODEL_INVALID', /does not tell its architecture/);
    refuses({ 'general.type': 'adapter' }, 'MODEL_UNSUPPORTED', /holds no whole model \("general.type" is "adapter"\)/);
  });

  it('reads the keys of the architecture that the file names, with heads as wide as it says', () => {
    const qwen3 = Object.fromEntries(
      Object.entries(BASE).map(([key, value]) => [key.replace(/^llama/, 'qwen3'), value]),
    );
    const heads = { 'qwen3.attention.key_length': 128, 'qwen3.attention.value_length': 128 };
    const { architecture, headDim, ropeDim } = read({ ...qwen3, 'general.architecture': 'qwen3', ...heads });
    assert.deepEqual([architecture, headDim, ropeDim], ['qwen3', 128, 128]);
    const window = { 'general.architecture': 'qwen3', 'qwen3.attention.sliding_window': 4096 };
    refuses({ ...qwen3, ...window }, 'MODEL_UNSUPPORTED', /sliding window of 4096 tokens/);
    refuses({ 'general.architecture': 'qwen3' }, 'MODEL_INVALID', /key "qwen3.\w+" is missing/);
  });

  it('refuses mixtures of experts and other relatives by their name', () => {
    for (const architecture of ['qwen2moe', 'qwen3moe', 'qwen2vl', 'qwen3next', 'qwen']) {
      const message = new RegExp(`^"m.gguf" has the architecture "${architecture}"; supported: llama, qwen2, qwen3$`);
      refuses({ 'general.architecture': architecture }, 'MODEL_UNSUPPORTED', message);
    }
  });

  it('refuses variants that would be computed wrongly', () => {
    refuses(
      { 'llama.expert_count': 8 },
      'MODEL_UNSUPPORTED',
      /is a mixture of 8 experts, which Kvant does not run: use a dense model/,
    );
    refuses({ 'llama.attention.causal': false }, 'MODEL_UNSUPPORTED', /attends in both directions/);
    refuses({ 'llama.attention.sliding_window': 4096 }, 'MODEL_UNSUPPORTED', /sliding window of 4096 tokens/);
    assert.equal(read({ 'llama.attention.sliding_window': 8192, 'llama.expert_count': 0 }).contextLength, 8192);
  });

  it('names the key and the value that make no sense', () => {
    refuses({ 'llama.block_count': undefined }, 'MODEL_INVALID', /its metadata key "llama.block_count" is missing/);
    refuses(
      { 'llama.block_count': 'many' },
      'MODEL_INVALID',
      /key "llama.block_count" is "many" \(expected a whole number from 1 to 4096\)/,
    );
    refuses(
      { 'llama.block_count': 2 ** 31 },
      'MODEL_INVALID',
      /key "llama.block_count" is "2147483648" \(expected .* from 1 to 4096\)/,
    );
    refuses(
      { 'llama.embedding_length': 0 },
      'MODEL_INVALID',
      /key "llama.embedding_length" is "0" \(expected a whole number from 1/,
    );
    refuses({ 'llama.embedding_length': 575.5 }, 'MODEL_INVALID', /key "llama.embedding_length" is "575.5"/);
    refuses(
      { 'llama.rope.freq_base': Infinity },
      'MODEL_INVALID',
      /key "llama.rope.freq_base" is "Infinity" \(expected a number above 0\)/,
    );
    refuses({ 'llama.attention.layer_norm_rms_epsilon': NaN }, 'MODEL_INVALID', /epsilon" is "NaN"/);
    refuses({ 'llama.context_length': [1, 2] }, 'MODEL_INVALID', /key "llama.context_length" is "1,2"/);
  });

  it('refuses heads that do not fit', () => {
    refuses(
      { 'llama.attention.head_count_kv': 2 },
      'MODEL_INVALID',
      /has 9 query heads, which 2 KV heads cannot share evenly/,
    );
    refuses({ 'llama.attention.head_count': 7 }, 'MODEL_INVALID', /is 576 wide, which 7 heads cannot share evenly/);
    refuses({ 'llama.attention.key_length': 128 }, 'MODEL_UNSUPPORTED', /keys of 128 and values of 64 channels/);
    const both = (length: number) => ({ 'llama.attention.key_length': length, 'llama.attention.value_length': length });
    refuses(both(40), 'MODEL_UNSUPPORTED', /heads of 40 channels; Kvant runs a multiple of 16, at most 256/);
    refuses(both(272), 'MODEL_UNSUPPORTED', /heads of 272 channels/);
    refuses({ 'llama.rope.dimension_count': 66 }, 'MODEL_INVALID', /rotates 66 channels of heads that have 64/);
    refuses({ 'llama.rope.dimension_count': 33 }, 'MODEL_INVALID', /expected an even number/);
  });
});
