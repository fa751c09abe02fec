import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGpu } from './create-webgpu-kernels-node.ts';
import { SKIP_WEBGPU } from '../testing/software-gpu.ts';
import { GpuDevice } from './gpu-device.ts';

const LANGUAGE = new Set(['packed_4x8_integer_dot_product']) as unknown as WGSLLanguageFeatures;
const INFO = { vendor: 'test', architecture: '', device: '', description: '' };
const LIMITS = {
  ...{ maxBufferSize: 4096, maxStorageBufferBindingSize: 1024, maxComputeWorkgroupStorageSize: 16_384 },
  maxStorageBuffersPerShaderStage: 8,
};

/** What WebGPU says when there is no memory for a buffer, which a computed GPU never does. */
function adapterWithoutMemory(): GPUAdapter {
  const device = {
    ...{ limits: LIMITS, features: new Set(), lost: new Promise(() => undefined) },
    addEventListener: () => undefined,
    pushErrorScope: () => undefined,
    popErrorScope: async () => ({ message: 'out of memory' }),
    createBuffer: ({ size }: GPUBufferDescriptor) => ({ size, destroy: () => undefined }),
    destroy: () => undefined,
  };
  return {
    info: INFO,
    limits: LIMITS,
    features: new Set(),
    requestDevice: async () => device,
  } as unknown as GPUAdapter;
}

test('a GPU that gets lost says so, and lets its memory go', { skip: SKIP_WEBGPU }, async () => {
  const gpu = await openGpu('any');
  const range = gpu.allocate(1000, 'a test');
  await gpu.check();
  assert.ok(gpu.isOpen && gpu.numBytes >= 1000);
  const reading = gpu.read(range, 0, 16);
  gpu.device.destroy();
  const lost = { code: 'ENGINE_FAILED', message: /^the GPU was lost \(.+\): load the model again$/ };
  await assert.rejects(reading, lost);
  await assert.rejects(gpu.check(), lost);
  assert.ok(!gpu.isOpen);
  assert.equal(gpu.numBytes, 0);
  // Nothing of what comes too late is heard of.
  gpu.allocate(1000, 'a test');
  await assert.rejects(gpu.check(), lost);
});

test('what WebGPU finds wrong is told by the next check, and ends the device', { skip: SKIP_WEBGPU }, async () => {
  const gpu = await openGpu('any');
  gpu.allocate(1000, 'a test');
  await gpu.check();
  gpu.device.createShaderModule({ code: 'not WGSL', label: 'broken' });
  await gpu.device.queue.onSubmittedWorkDone();
  await assert.rejects(gpu.check(), { code: 'ENGINE_FAILED', message: /^the GPU failed: .*broken/s });
  assert.equal(gpu.numBytes, 0);
});

test('a device that is closed is not lost', { skip: SKIP_WEBGPU }, async () => {
  const gpu = await openGpu('any');
  gpu.close();
  await gpu.device.lost;
  await gpu.check();
  gpu.close();
});

test('memory that is not there is named, and what there was is let go', async () => {
  const gpu = await GpuDevice.open(adapterWithoutMemory(), LANGUAGE);
  gpu.allocate(100, 'tensor "token_embd.weight"');
  const message = 'no GPU memory for tensor "token_embd.weight", 112 bytes: lower --ctx or use --backend wasm';
  await assert.rejects(gpu.check(), { code: 'OUT_OF_MEMORY', message });
  assert.equal(gpu.numBytes, 0);
});

test('memory beyond the limits of a device is refused at once', async () => {
  const gpu = await GpuDevice.open(adapterWithoutMemory(), LANGUAGE);
  assert.throws(() => gpu.allocate(2000, 'the pages of the KV cache'), {
    code: 'OUT_OF_MEMORY',
    message:
      'no GPU memory for the pages of the KV cache: 2000 bytes, and the GPU takes at most 1024 bytes in one piece; lower --ctx or use --backend wasm',
  });
  assert.equal(gpu.numBytes, 0);
});
