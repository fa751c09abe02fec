import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Step } from '../kernels/kernels.ts';
import { ReferenceKernels } from '../kernels/reference/reference-kernels.ts';
import { createStepPages } from '../kernels/step-pages.ts';
import { PAGE_SIZE, parseKvFormat } from '../quant/kv-format.ts';
import { normalStream, uniformStream } from '../../test/random-data.ts';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import type { GgufSpec, GgufTensorSpec } from '../../test/support/gguf-writer.ts';
import { openModelFile } from './model-file.ts';
import type { ModelFile } from './model-file.ts';
import { MemorySource } from './testing/memory-source.ts';
import { PlainLlama } from './testing/plain-llama.ts';
import { TINY, tinyLlama, tinyModel } from './testing/tiny-llama.ts';
import { Transformer } from './transformer.ts';
import { loadWeights } from './weights.ts';

const NUM_TOKENS = PAGE_SIZE + 20;

/** Logits of every token, by the reference kernels on an f16 cache: a full page, sealed, then part of another. */
async function logitsOf(model: ModelFile, tokenIds: readonly number[]): Promise<number[][]> {
  const { numLayers, numKvHeads, headDim, numHeads } = model.hyperparameters;
  const shape = { numLayers, numKvHeads, headDim };
  const format = parseKvFormat('f16', headDim);
  const { ropeFrequencies } = model;
  const limits = { maxRows: PAGE_SIZE, maxContext: NUM_TOKENS, numThreads: 1 };
  const kernels = new ReferenceKernels({ shape, numHeads, format, ropeFrequencies, ...limits });
  const transformer = new Transformer(kernels, await loadWeights(kernels, model), model.hyperparameters);
  const pages = createStepPages(kernels, 1, 1);
  const logits: number[][] = [];
  for (const first of [0, PAGE_SIZE]) {
    const stepIds = tokenIds.slice(first, first + PAGE_SIZE);
    const segment = {
      firstRow: 0,
      numRows: stepIds.length,
      firstPosition: first,
      pages,
      sealedPages: first === 0 ? [] : [0],
      openPage: 0,
      sinkPage: undefined,
      sealInto: first === 0 ? 0 : undefined,
    };
    const outputRows = stepIds.map((_, row) => row);
    const step: Step = { tokenIds: stepIds, segments: [segment], outputRows };
    await transformer.forward(step);
    for (const row of outputRows) logits.push([...kernels.readRow(transformer.logits, row)]);
  }
  await kernels.close();
  return logits;
}

async function check(spec: GgufSpec, maxError: number): Promise<void> {
  const model = await openModelFile(new MemorySource(writeGguf(spec)));
  const uniform = uniformStream(3);
  const tokenIds = Array.from({ length: NUM_TOKENS }, () => Math.floor(TINY.vocabulary * uniform()));
  const expected = (await PlainLlama.load(model)).forward(tokenIds);
  const found = await logitsOf(model, tokenIds);
  assert.equal(found.length, NUM_TOKENS);
  const errors = found.flatMap((row, t) => row.map((value, i) => Math.abs(value - expected[t][i])));
  const worst = Math.max(...errors);
  assert.ok(worst < maxError, `largest error ${worst}`);
  const spread = Math.max(...expected.flat().map(Math.abs));
  assert.ok(spread > 2, `the logits are far from zero: ${spread}`);
}

function bias(length: number, seed: number): Partial<GgufTensorSpec> {
  const normal = normalStream(seed);
  return { shape: [length], bytes: new Uint8Array(Float32Array.from({ length }, () => normal()).buffer) };
}

describe('a forward pass on the reference kernels, f16 cache (largest error of a logit < 4e-3)', () => {
  it('gives the logits of the plain formulas', () => check(tinyLlama(), 4e-3));

  it('gives them with biases, a tied head, partly rotated heads and scaled frequencies', async () => {
    const factors = new Uint8Array(Float32Array.of(1, 1.5, 4, 8).buffer);
    const metadata = {
      'llama.rope.dimension_count': 8,
      'llama.rope.scaling.type': 'linear',
      'llama.rope.scaling.factor': 2,
    };
    const tensors = {
      'output.weight': undefined,
      'rope_freqs.weight': { shape: [4], bytes: factors },
      'blk.0.attn_q.bias': bias(TINY.numHeads * TINY.headDim, 100),
      'blk.0.attn_k.bias': bias(TINY.numKvHeads * TINY.headDim, 101),
      'blk.1.attn_v.bias': bias(TINY.numKvHeads * TINY.headDim, 102),
    };
    await check(tinyLlama({ metadata, tensors }), 4e-3);
  });

  for (const architecture of ['qwen2', 'qwen3'] as const) {
    it(`gives them for ${architecture}, heads rotated wholly or partly, the head tied or not`, async () => {
      await check(tinyModel(architecture), 4e-3);
      const partly = { [`${architecture}.rope.dimension_count`]: 8 };
      await check(tinyModel(architecture, { metadata: partly, tensors: { 'output.weight': undefined } }), 4e-3);
    });
  }
});
