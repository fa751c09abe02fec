import type { KernelsConfig } from '../kernels.ts';
import { gpuUnavailable, requestAdapter, type AdapterChoice } from './gpu-adapter.ts';
import { GpuDevice } from './gpu-device.ts';
import { canOpen, kernelsOn } from './open-kernels.ts';
import { readShaders } from './read-shaders-browser.ts';
import type { WebgpuKernels } from './webgpu-kernels.ts';

/**
 * Opens the browser's GPU, and compiles nothing yet.
 *
 * @throws KvantError BACKEND_UNAVAILABLE without an adapter or a shader; as the constructor of WebgpuKernels
 */
export async function createWebgpuKernels(
  config: KernelsConfig,
  choice: AdapterChoice = 'hardware',
): Promise<WebgpuKernels> {
  return kernelsOn(await openGpu(choice), config, readShaders);
}

/** Whether there is a GPU that this backend can run on. */
export function hasHardwareGpu(): Promise<boolean> {
  return canOpen(() => openGpu('hardware'));
}

/** @throws KvantError BACKEND_UNAVAILABLE */
export async function openGpu(choice: AdapterChoice): Promise<GpuDevice> {
  const { gpu: api } = navigator as { readonly gpu?: GPU };
  if (!api) throw gpuUnavailable('this browser has no WebGPU here: it takes a recent one, and HTTPS or localhost');
  const adapter = await requestAdapter(api, choice, 'switch hardware acceleration on in the browser');
  return GpuDevice.open(adapter, api.wgslLanguageFeatures);
}
