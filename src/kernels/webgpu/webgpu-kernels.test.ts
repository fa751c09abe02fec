import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvantError } from '../../errors.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import { createStepPages } from '../step-pages.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from '../testing/software-gpu.ts';
import { f32Tensor } from '../testing/tensor-source.ts';
import { createWebgpuKernels, openGpu } from './create-webgpu-kernels-node.ts';
import { measureGpuCeilings } from './gpu-ceilings.ts';
import { GpuTimer } from './gpu-timer.ts';
import { readShaders } from './read-shaders-node.ts';

const CONFIG: KernelsConfig = {
  ...{ shape: { numLayers: 1, numKvHeads: 1, headDim: 16 }, numHeads: 1, format: parseKvFormat('q4', 16) },
  ...{ ropeFrequencies: [1], maxRows: 4, maxContext: 68, numThreads: 1 },
};
const FILE = { kind: 'file' } as const;

function isError(code: string, words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof KvantError && error.code === code && words.test(error.message);
}

test(
  'a GPU that is computed is refused where a real one is asked for, with what else there is',
  { skip: SKIP_WEBGPU },
  async (t) => {
    const kernels = await createSoftwareGpu(CONFIG);
    await kernels.close();
    if (!/swiftshader|llvmpipe/i.test(kernels.description.isa)) return t.skip('there is a real GPU');
    assert.equal(kernels.compilesOnUse, false, 'shaders that take seconds are compiled when they are needed');
    const words = /computes in software: .*, or take it as it is with --backend webgpu-software; or use --backend wasm/;
    await assert.rejects(createWebgpuKernels(CONFIG), isError('BACKEND_UNAVAILABLE', words));
  },
);

test(
  'what the device cannot take in one piece, and shapes that shaders do not have, are refused by name',
  { skip: SKIP_WEBGPU },
  async () => {
    const kernels = await createSoftwareGpu(CONFIG);
    const tooLarge =
      /no GPU memory for the pages of the KV cache: .* bytes in one piece; lower --ctx or use --backend wasm/;
    assert.throws(() => kernels.createPageArena(2 ** 40), isError('OUT_OF_MEMORY', tooLarge));
    assert.throws(
      () => kernels.createOperand(20, 'step'),
      isError('MODEL_UNSUPPORTED', /20 channels: .*multiple of 16/),
    );
    const odd = kernels.loadMatrix(f32Tensor(2, 20, new Float32Array(40)), FILE);
    await assert.rejects(odd, isError('MODEL_UNSUPPORTED', /20 columns: .*multiple of 16; use --backend wasm/));
    await kernels.close();
    const shape = { ...CONFIG.shape, headDim: 24 };
    const heads = createSoftwareGpu({ ...CONFIG, shape, format: parseKvFormat('q4', 24) });
    await assert.rejects(heads, isError('MODEL_UNSUPPORTED', /heads of 24 channels/));
  },
);

test(
  'only rows of readable activations come back, with one step after another, and a closed device is no more used',
  { skip: SKIP_WEBGPU },
  async () => {
    const kernels = await createSoftwareGpu(CONFIG);
    const pages = createStepPages(kernels, 1, 1);
    const table = await kernels.loadMatrix(
      f32Tensor(
        3,
        16,
        Array.from({ length: 48 }, (_, i) => i),
      ),
      FILE,
    );
    const [readable, kept] = [kernels.createActivation(16, 'step', 'readable'), kernels.createActivation(16, 'step')];
    const place = { pages, sinkPage: 0, firstPosition: 0, sealedPages: [], openPage: 0, sealInto: undefined };
    for (const tokenIds of [[2, 0, 1], [1]]) {
      kernels.beginStep({ tokenIds, segments: [{ ...place, firstRow: 0, numRows: tokenIds.length }], outputRows: [] });
      kernels.embed(table, readable);
      kernels.embed(table, kept);
      await kernels.finishStep();
      tokenIds.forEach((token, row) => assert.equal(kernels.readRow(readable, row)[3], 16 * token + 3));
      assert.throws(
        () => kernels.readRow(kept, 0),
        /an activation that did not come back cannot be read: create it as 'readable'/,
      );
    }
    assert.throws(() => kernels.readRow(readable, 1), new RangeError('row 1 is not in [0, 1)'));
    assert.ok(kernels.memoryUsage().weightBytes >= 48 * 4 && kernels.memoryUsage().scratchBytes > 0);
    await kernels.close();
    await kernels.close();
    assert.throws(
      () => kernels.beginStep({ tokenIds: [0], segments: [], outputRows: [] }),
      isError('ENGINE_CLOSED', /closed/),
    );
  },
);

test('a step is timed on the device where it can tell the time', { skip: SKIP_WEBGPU }, async (t) => {
  const kernels = await createSoftwareGpu(CONFIG);
  const timer = kernels.startTimer();
  if (!timer) return t.skip('no timestamps');
  assert.ok(timer instanceof GpuTimer);
  assert.equal(await timer.readMs(), undefined);
  const pages = createStepPages(kernels, 1, 1);
  const table = await kernels.loadMatrix(f32Tensor(1, 16, new Float32Array(16)), FILE);
  const segment = { firstRow: 0, numRows: 1, pages, sinkPage: 0, firstPosition: 0, sealedPages: [], openPage: 0 };
  kernels.beginStep({ tokenIds: [0], segments: [{ ...segment, sealInto: undefined }], outputRows: [] });
  kernels.embed(table, kernels.createActivation(16, 'step'));
  await kernels.finishStep();
  const ms = await timer.readMs();
  assert.ok(ms !== undefined && ms >= 0 && ms < 60_000, `${ms}`);
  await kernels.close();
});

test('ceilings of a device are positive, and read and multiply what they say', { skip: SKIP_WEBGPU }, async () => {
  const gpu = await openGpu('any');
  const { macsPerSecond, bytesPerSecond } = await measureGpuCeilings(gpu, await readShaders());
  assert.ok(macsPerSecond > 1e6 && macsPerSecond < 1e16, `${macsPerSecond}`);
  assert.ok(bytesPerSecond > 1e6 && bytesPerSecond < 1e14, `${bytesPerSecond}`);
  gpu.close();
});
