import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Matrix } from 'ml-matrix';
import { normalStream, uniformStream } from '../../test/random-data.ts';
import { writeGguf } from '../../test/support/gguf-writer.ts';
import { ReferenceKernels } from '../kernels/reference/reference-kernels.ts';
import { openModelFile } from '../model/model-file.ts';
import { MemorySource } from '../model/testing/memory-source.ts';
import { TINY, tinyLlama } from '../model/testing/tiny-llama.ts';
import { Transformer } from '../model/transformer.ts';
import { loadWeights } from '../model/weights.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { openTile, sealTile } from '../quant/tile.ts';
import { learnTransforms } from './learn-transforms.ts';
import { HeadObserver } from './observe-heads.ts';
import { headTransforms } from '../calibration/transforms.ts';

const WINDOW = 128;
const { numLayers, numHeads, numKvHeads, headDim } = TINY;

/** Queries that are large in a quarter of the channels: there is something to be learnt. */
function unevenQueryWeights(seed: number): Uint8Array {
  const normal = normalStream(seed);
  const values = new Float32Array(TINY.width * numHeads * headDim).map((_, i) => {
    const channel = Math.floor(i / TINY.width) % headDim;
    return ((channel % 8 < 2 ? 2 : 0.25) * normal()) / Math.sqrt(TINY.width);
  });
  return new Uint8Array(values.buffer);
}

async function setUp(): Promise<{ kernels: ReferenceKernels; model: Parameters<typeof learnTransforms>[1] }> {
  const tensors = Object.fromEntries(
    Array.from({ length: numLayers }, (_, layer) => [
      `blk.${layer}.attn_q.weight`,
      { bytes: unevenQueryWeights(layer) },
    ]),
  );
  const file = await openModelFile(new MemorySource(writeGguf(tinyLlama({ tensors }))));
  const kernels = new ReferenceKernels({
    shape: file.hyperparameters,
    numHeads,
    format: parseKvFormat('f16', headDim),
    ropeFrequencies: file.ropeFrequencies,
    maxRows: 64,
    maxContext: WINDOW,
    numThreads: 1,
  });
  const weights = await loadWeights(kernels, file, {});
  return { kernels, model: { file, transformer: new Transformer(kernels, weights, file.hyperparameters) } };
}

function windowOf(seed: number): number[] {
  const uniform = uniformStream(seed);
  return Array.from({ length: WINDOW }, () => Math.floor(uniform() * TINY.vocabulary));
}

test('learns a matrix and a feedback for each head, the same each time, that lose less than two thirds of what keys as they are do of scores', async () => {
  const { kernels, model } = await setUp();
  const done: number[] = [];
  const options = { windows: [1, 2, 3].map(windowOf), ctx: 4 * WINDOW, onWindow: (count: number) => done.push(count) };
  const learnt = await learnTransforms(kernels, model, options);
  assert.deepEqual(done, [1, 2, 3]);
  assert.deepEqual(await learnTransforms(kernels, model, options), learnt);
  for (const matrices of Object.values(learnt) as Float32Array[]) {
    assert.equal(matrices.length, numLayers * numKvHeads * headDim ** 2);
    assert.ok(matrices.every(Number.isFinite));
  }
  const { inverse } = headTransforms(headDim, learnt.k);
  const observed = await new HeadObserver(kernels, model.transformer, WINDOW).observe(windowOf(9), 0);
  const spec = { kind: 'k', bits: 4, numTokens: 64, headDim } as const;
  let [plain, calibrated] = [0, 0];
  for (let index = 0; index < numLayers * numKvHeads; index++) {
    const [layer, head] = [Math.floor(index / numKvHeads), index % numKvHeads];
    const ofHead = (matrices: Float32Array): Float32Array =>
      matrices.subarray(index * headDim ** 2, (index + 1) * headDim ** 2);
    const square = (matrices: Float32Array): Matrix => Matrix.from1DArray(headDim, headDim, ofHead(matrices));
    const keys = observed.keys(layer, head).subarray(0, 64 * headDim);
    const queries = Matrix.from1DArray(WINDOW, headDim, observed.queries(layer, (head * numHeads) / numKvHeads));
    const asMatrix = (values: ArrayLike<number>): Matrix => Matrix.from1DArray(64, headDim, Array.from(values));
    const lossOf = (decoded: Matrix): number =>
      queries.mmul(Matrix.sub(decoded, asMatrix(keys)).transpose()).norm() ** 2;
    plain += lossOf(asMatrix(openTile(spec, sealTile(spec, keys))));
    const stored = Float32Array.from(asMatrix(keys).mmul(square(learnt.k).transpose()).to1DArray());
    const decoded = asMatrix(openTile(spec, sealTile(spec, stored, ofHead(learnt.keyFeedback))));
    calibrated += lossOf(decoded.mmul(square(inverse).transpose()));
  }
  assert.ok(calibrated < (2 / 3) * plain, `${calibrated} against ${plain}`);
});

test('stops between windows when the signal aborts, with its reason', async () => {
  const { kernels, model } = await setUp();
  const controller = new AbortController();
  const done: number[] = [];
  const onWindow = (count: number): void => {
    done.push(count);
    controller.abort(new Error('enough'));
  };
  const options = { windows: [windowOf(1), windowOf(2)], ctx: WINDOW, onWindow, signal: controller.signal };
  await assert.rejects(learnTransforms(kernels, model, options), { message: 'enough' });
  assert.deepEqual(done, [1]);
});
