import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadTinyEngine, NO_EVENTS, request } from '../src/engine/testing/tiny-engine.ts';
import { nodePlatform } from '../src/engine/platform-node.ts';
import { SKIP_WEBGPU } from '../src/kernels/testing/software-gpu.ts';
import { openGpu } from '../src/kernels/webgpu/create-webgpu-kernels-node.ts';
import type { GpuDevice } from '../src/kernels/webgpu/gpu-device.ts';
import { readShaders } from '../src/kernels/webgpu/read-shaders-node.ts';
import { WebgpuKernels } from '../src/kernels/webgpu/webgpu-kernels.ts';

/** A GPU that goes wrong under an engine, as it does when its driver is updated or another program takes all of its memory. */

async function loadOnGpu() {
  const gpu = await openGpu('any');
  const loaded = await loadTinyEngine(
    { backend: 'webgpu-software', maxSequences: 2 },
    { ...nodePlatform, createKernels: async (_, config) => new WebgpuKernels(config, gpu, await readShaders()) },
  );
  return { gpu, ...loaded };
}

for (const [what, goWrong, message] of [
  ['is lost', (gpu) => gpu.device.destroy(), /^the GPU was lost \(.+\): load the model again$/],
  ['refuses a command', (gpu) => void gpu.device.createBuffer({ size: 16, usage: 0 }), /^the GPU failed: .*usage.*/is],
] as const satisfies readonly [string, (gpu: GpuDevice) => void, RegExp][]) {
  test(
    `a GPU that ${what} ends all requests with a typed error, and lets go what it held`,
    { skip: SKIP_WEBGPU },
    async () => {
      const { gpu, engine, kernels } = await loadOnGpu();
      const { weightBytes, pageBytes, scratchBytes } = kernels.memoryUsage();
      assert.equal(weightBytes + pageBytes + scratchBytes, gpu.numBytes);
      const failure = { name: 'KvantError', code: 'ENGINE_FAILED', message };
      const results = [1, 2, 3].map(() => engine.submit(request(), NO_EVENTS).result);
      goWrong(gpu);
      await Promise.all(results.map((result) => assert.rejects(result, failure)));
      assert.throws(() => engine.submit(request(), NO_EVENTS), failure);
      assert.equal(gpu.numBytes, 0);
      assert.deepEqual(kernels.memoryUsage(), { weightBytes: 0, pageBytes: 0, scratchBytes: 0 });
      await kernels.close();
    },
  );
}
