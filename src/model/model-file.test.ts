import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import { KvantError } from '../errors.ts';
import { openModelFile } from './model-file.ts';
import { openModel } from './open-model-node.ts';
import { damage, headerBytesOf } from './testing/damage.ts';
import { MemorySource } from './testing/memory-source.ts';
import { TINY, tinyLlama } from './testing/tiny-llama.ts';
import type { TinyLlamaChanges } from './testing/tiny-llama.ts';

const MODELS = new URL('../../models/smollm2-135m-instruct/', import.meta.url);
const TINY_MODELS = new URL('../../test/models/tiny/', import.meta.url);

function sourceOf(changes: TinyLlamaChanges = {}): MemorySource {
  return new MemorySource(writeGguf(tinyLlama(changes)));
}

function ropeFactors(values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}

describe('openModelFile', () => {
  it('describes a model before any weight is read', async () => {
    const source = sourceOf();
    const model = await openModelFile(source);
    const { width, feedForward, numHeads, numKvHeads, headDim, vocabulary, numLayers } = TINY;
    const attention = 2 * width * numHeads * headDim + 2 * width * numKvHeads * headDim;
    const layer = 2 * width + attention + 3 * width * feedForward;
    assert.equal(model.numParameters, 2 * width * vocabulary + width + numLayers * layer);
    assert.equal(model.weightBytes, 4 * model.numParameters);
    assert.equal(model.name, 'tiny llama');
    assert.equal(model.chatTemplate, '{{ messages[0].content }}');
    assert.deepEqual(Object.keys(model.tokenizerMetadata), [
      'tokenizer.ggml.model',
      'tokenizer.ggml.tokens',
      'tokenizer.chat_template',
    ]);
    assert.equal(model.ropeFrequencies.length, headDim / 2);
    await model.file.close();
    assert.ok(source.closed);
  });

  it('names a model without a name after its file, and tells that there is no chat template', async () => {
    const metadata = { 'general.name': undefined, 'tokenizer.chat_template': undefined };
    const model = await openModelFile(sourceOf({ metadata }));
    assert.equal(model.name, 'test');
    assert.equal(model.chatTemplate, undefined);
  });

  it('counts a tied embedding once', async () => {
    const untied = await openModelFile(sourceOf());
    const tied = await openModelFile(sourceOf({ tensors: { 'output.weight': undefined } }));
    assert.equal(untied.numParameters - tied.numParameters, TINY.width * TINY.vocabulary);
  });

  it('divides RoPE frequencies by the factors in the file (llama 3)', async () => {
    const bytes = ropeFactors([1, 1, 2, 2, 4, 4, 8, 8]);
    const plain = await openModelFile(sourceOf());
    const scaled = await openModelFile(
      sourceOf({ tensors: { 'rope_freqs.weight': { type: 'F32', shape: [8], bytes } } }),
    );
    const ratios = plain.ropeFrequencies.map((frequency, pair) => frequency / scaled.ropeFrequencies[pair]);
    assert.deepEqual(ratios.map(Math.round), [1, 1, 2, 2, 4, 4, 8, 8]);
    assert.equal(scaled.numParameters, plain.numParameters);
  });

  it('refuses RoPE factors that make no sense', async () => {
    const withFactors = (tensor: object) => openModelFile(sourceOf({ tensors: { 'rope_freqs.weight': tensor } }));
    await assert.rejects(withFactors({ type: 'F32', shape: [4] }), {
      code: 'MODEL_INVALID',
      message: /tensor "rope_freqs.weight" of "test.gguf" is F32 of \[4\], expected F32 of \[8\]/,
    });
    await assert.rejects(withFactors({ type: 'F16', shape: [8] }), /is F16 of \[8\]/);
    const bytes = ropeFactors([1, 1, 1, 1, 0, 1, 1, 1]);
    await assert.rejects(withFactors({ type: 'F32', shape: [8], bytes }), /holds a factor that is not positive/);
  });

  it('closes the file of a model that it refuses', async () => {
    const source = sourceOf({ metadata: { 'general.architecture': 'gpt2' } });
    await assert.rejects(openModelFile(source), {
      code: 'MODEL_UNSUPPORTED',
      message: /architecture "gpt2"; supported: llama/,
    });
    assert.ok(source.closed);
  });

  it('gives only KvantErrors for 1,500 damaged headers', async () => {
    const whole = writeGguf(tinyLlama());
    const headerBytes = (await headerBytesOf(whole)) + 64;
    const codes = new Set<string>();
    for (let seed = 0; seed < 1500; seed++) {
      const source = new MemorySource(damage(whole, headerBytes, seed));
      try {
        await (await openModelFile(source)).file.close();
        codes.add('opened');
      } catch (error) {
        assert.ok(error instanceof KvantError, `seed ${seed}: ${String(error)}`);
        codes.add(error.code);
      }
      assert.ok(source.closed, `seed ${seed}`);
      assert.ok(source.bytesRead < 2 * whole.length + 100, `seed ${seed} read ${source.bytesRead} bytes`);
    }
    for (const code of ['opened', 'MODEL_INVALID', 'MODEL_TRUNCATED', 'MODEL_UNSUPPORTED', 'MODEL_NOT_GGUF']) {
      assert.ok(codes.has(code), `no damage gave ${code}`);
    }
  });
});

describe('openModel', () => {
  it('opens the embedded model', async () => {
    const path = fileURLToPath(new URL('SmolLM2-135M-Instruct.Q4_1.gguf', MODELS));
    const model = await openModel(path);
    assert.equal(model.name, 'Smollm2 135M 8k Lc100K Mix1 Ep2');
    assert.equal(model.numParameters, 134_515_008);
    assert.equal(model.weightBytes, 96_576_768);
    assert.deepEqual(model.hyperparameters, {
      architecture: 'llama',
      numLayers: 30,
      embeddingLength: 576,
      feedForwardLength: 1536,
      numHeads: 9,
      numKvHeads: 3,
      headDim: 64,
      ropeDim: 64,
      ropeBase: 100_000,
      ropeScalingFactor: 1,
      rmsEpsilon: Math.fround(1e-5),
      contextLength: 8192,
      vocabularySize: 49_152,
    });
    assert.equal(model.file.tensors.get('token_embd.weight')?.type, 'Q8_0');
    assert.equal(model.file.tensors.get('blk.29.ffn_down.weight')?.type, 'Q4_1');
    assert.equal(model.chatTemplate?.startsWith('{% for message in messages %}'), true);
    const norm = new Float32Array(576);
    await model.file.tensorSource('output_norm.weight').read(new Uint8Array(norm.buffer), 0);
    // As ggml's Python package reads them.
    assert.deepEqual([...norm.slice(0, 4)], [1.7578125, 1.8203125, 1.78125, 1.6015625]);
    assert.deepEqual([Math.min(...norm), Math.max(...norm)], [-2.125, 3.34375]);
    await model.file.close();
  });

  it('opens the tiny models', async () => {
    const fileNames = readdirSync(TINY_MODELS).filter((name) => /^llama-.*\.gguf$/.test(name));
    assert.equal(fileNames.length, 3);
    for (const fileName of fileNames) {
      const model = await openModel(fileURLToPath(new URL(fileName, TINY_MODELS)));
      assert.equal(model.hyperparameters.vocabularySize, 2048, fileName);
      assert.ok(model.numParameters > 3e6 && model.numParameters < 7e6, fileName);
      await model.file.close();
    }
  });
});
