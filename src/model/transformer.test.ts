import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KernelsConfig, Step } from '../kernels/kernels.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import type { GgufSpec } from '../../test/support/gguf-writer.ts';
import { openModelFile } from './model-file.ts';
import type { ModelFile } from './model-file.ts';
import { MemorySource } from './testing/memory-source.ts';
import { RecordingKernels } from './testing/recording-kernels.ts';
import { tinyLlama, tinyModel } from './testing/tiny-llama.ts';
import type { TinyLlamaChanges } from './testing/tiny-llama.ts';
import { Transformer } from './transformer.ts';
import { loadWeights } from './weights.ts';

async function open(changes: TinyLlamaChanges = {}): Promise<ModelFile> {
  return openModelFile(new MemorySource(writeGguf(tinyLlama(changes))));
}

function kernelsFor(model: ModelFile, changes: Partial<KernelsConfig> = {}): RecordingKernels {
  return new RecordingKernels({
    shape: model.hyperparameters,
    numHeads: model.hyperparameters.numHeads,
    format: parseKvFormat('q4', model.hyperparameters.headDim),
    ropeFrequencies: model.ropeFrequencies,
    maxRows: 8,
    maxContext: 128,
    numThreads: 1,
    ...changes,
  });
}

async function run(changes: TinyLlamaChanges, outputRows: number[]): Promise<RecordingKernels> {
  return runModel(tinyLlama(changes), outputRows);
}

async function runModel(spec: GgufSpec, outputRows: number[]): Promise<RecordingKernels> {
  const model = await openModelFile(new MemorySource(writeGguf(spec)));
  const kernels = kernelsFor(model);
  const transformer = new Transformer(kernels, await loadWeights(kernels, model), model.hyperparameters);
  assert.deepEqual([transformer.logits.width, transformer.logits.rows], [40, 'output']);
  // The recorder looks at the tokens only.
  await transformer.forward({ tokenIds: [5, 6, 7], outputRows } as unknown as Step);
  return kernels;
}

const LAYER_0 = [
  'rmsNorm activation 0 blk.0.attn_norm.weight EPSILON -> operand 0',
  'matmul operand 0 blk.0.attn_q.weight -> activation 1',
  'matmul operand 0 blk.0.attn_k.weight -> activation 2',
  'matmul operand 0 blk.0.attn_v.weight -> activation 3',
  'storeKeysValues 0 activation 1 activation 2 activation 3',
  'attend 0 activation 1 -> operand 1',
  'sealTiles 0',
  'matmul operand 1 blk.0.attn_output.weight += activation 0',
  'rmsNorm activation 0 blk.0.ffn_norm.weight EPSILON -> operand 0',
  'matmul operand 0 blk.0.ffn_gate.weight -> activation 4',
  'matmul operand 0 blk.0.ffn_up.weight -> activation 5',
  'swiGlu activation 4 activation 5 -> operand 2',
  'matmul operand 2 blk.0.ffn_down.weight += activation 0',
];
const LAYERS = [
  'beginStep 5 6 7',
  'embed token_embd.weight -> activation 0',
  ...LAYER_0,
  ...LAYER_0.map((call) => call.replace('blk.0', 'blk.1').replace(/^(storeKeysValues|attend|sealTiles) 0/, '$1 1')),
].map((call) => call.replace('EPSILON', String(Math.fround(1e-5))));
const HEAD = [
  'selectOutputs activation 0 -> activation 6',
  `rmsNorm activation 6 output_norm.weight ${Math.fround(1e-5)} -> operand 3`,
  'matmul operand 3 output.weight -> activation 7',
];

describe('Transformer', () => {
  it('runs the operations of every layer in order, then the head for the output rows', async () => {
    const kernels = await run({}, [2]);
    assert.deepEqual(kernels.calls, [...LAYERS, ...HEAD, 'finishStep']);
  });

  it('leaves the head out of a step without output rows', async () => {
    const kernels = await run({}, []);
    assert.deepEqual(kernels.calls, [...LAYERS, 'finishStep']);
  });

  it('uses the embedding as head where the file has none, and loads it once', async () => {
    const kernels = await run({ tensors: { 'output.weight': undefined } }, [2]);
    assert.ok(kernels.calls.includes('matmul operand 3 token_embd.weight -> activation 7'));
    assert.equal(kernels.loads.filter((load) => load.includes('token_embd')).length, 1);
  });

  it('adds the biases of queries, keys and values', async () => {
    const tensors = {
      'blk.0.attn_q.bias': { shape: [64] },
      'blk.0.attn_k.bias': { shape: [32] },
      'blk.0.attn_v.bias': { shape: [32] },
    };
    const kernels = await run({ tensors }, []);
    const biased = kernels.calls.filter((call) => call.includes('.bias'));
    assert.deepEqual(biased, [
      'matmul operand 0 blk.0.attn_q.weight + blk.0.attn_q.bias -> activation 1',
      'matmul operand 0 blk.0.attn_k.weight + blk.0.attn_k.bias -> activation 2',
      'matmul operand 0 blk.0.attn_v.weight + blk.0.attn_v.bias -> activation 3',
    ]);
  });

  it('normalises the heads of queries and keys before they are rotated and stored, in qwen3', async () => {
    const kernels = await runModel(tinyModel('qwen3'), []);
    const epsilon = Math.fround(1e-5);
    const start = kernels.calls.indexOf('matmul operand 0 blk.1.attn_v.weight -> activation 3');
    assert.deepEqual(kernels.calls.slice(start + 1, start + 4), [
      `normHeads activation 1 blk.1.attn_q_norm.weight ${epsilon}`,
      `normHeads activation 2 blk.1.attn_k_norm.weight ${epsilon}`,
      'storeKeysValues 1 activation 1 activation 2 activation 3',
    ]);
    assert.equal(kernels.calls.filter((call) => call.startsWith('normHeads')).length, 4);
  });

  it('refuses kernels made for another model', async () => {
    const model = await open();
    const kernels = kernelsFor(model, { numHeads: 8 });
    const weights = await loadWeights(kernels, model);
    assert.throws(
      () => new Transformer(kernels, weights, model.hyperparameters),
      /RangeError: the kernels are made for .*"numHeads":8/,
    );
    const short = { ...weights, layers: weights.layers.slice(1) };
    assert.throws(
      () => new Transformer(kernelsFor(model), short, model.hyperparameters),
      new RangeError('weights of 1 layers for a model of 2'),
    );
  });
});

describe('loadWeights', () => {
  it('loads in order of place in the file, each tensor once, and tells how far it is', async () => {
    const model = await open();
    const kernels = kernelsFor(model);
    const progress: [number, number][] = [];
    await loadWeights(kernels, model, { onProgress: (loaded, total) => progress.push([loaded, total]) });
    assert.deepEqual(kernels.loads.slice(0, 5), [
      'matrix token_embd.weight file',
      'vector output_norm.weight file',
      'matrix output.weight file',
      'vector blk.0.attn_norm.weight file',
      'matrix blk.0.attn_q.weight interleaved-rope',
    ]);
    assert.deepEqual(
      kernels.loads.map((load) => load.split(' ')[1]),
      [...model.file.tensors.keys()],
    );
    assert.deepEqual(progress[0], [0, model.weightBytes]);
    assert.deepEqual(progress[1], [4 * 96 * 40, model.weightBytes]);
    assert.deepEqual(progress.at(-1), [model.weightBytes, model.weightBytes]);
    assert.equal(progress.length, 1 + model.tensors.length);
  });

  it('stops between tensors when it is aborted', async () => {
    const model = await open();
    const kernels = kernelsFor(model);
    const abort = new AbortController();
    const onProgress = (loadedBytes: number) => {
      if (loadedBytes > 0) abort.abort();
    };
    await assert.rejects(loadWeights(kernels, model, { onProgress, signal: abort.signal }), { name: 'AbortError' });
    assert.equal(kernels.loads.length, 1);
  });
});
