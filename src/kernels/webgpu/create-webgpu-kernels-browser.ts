import type { KernelsConfig } from '../kernels.ts';
import { gpuUnavailable, requestAdapter, type AdapterChoice } from './gpu-adapter.ts';
import { GpuDevice } from './gpu-device.ts';
import { readShaders } from './read-shaders-browser.ts';
import { WebgpuKernels } from './webgpu-kernels.ts';

/**
 * Opens the browser's GPU, and compiles nothing yet.
 *
 * @throws KvantError BACKEND_UNAVAILABLE without an adapter or a shader; as the constructor of WebgpuKernels
 */
export async function createWebgpuKernels(
  config: KernelsConfig,
  choice: AdapterChoice = 'hardware',
): Promise<WebgpuKernels> {
  const gpu = await openGpu(choice);
  try {
    return new WebgpuKernels(config, gpu, await readShaders());
  } catch (error) {
    gpu.close();
    throw error;
  }
}

/**
 * The device. Also fit for asking whether there is one: whoever does closes it.
 *
 * @throws KvantError BACKEND_UNAVAILABLE
 */
export async function openGpu(choice: AdapterChoice): Promise<GpuDevice> {
  const { gpu: api } = navigator as { readonly gpu?: GPU };
  if (!api) throw gpuUnavailable('this browser has no WebGPU here: it takes a recent one, and HTTPS or localhost');
  const adapter = await requestAdapter(api, choice, 'switch hardware acceleration on in the browser');
  return GpuDevice.open(adapter, api.wgslLanguageFeatures);
}
