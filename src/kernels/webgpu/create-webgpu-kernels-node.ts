import type { KernelsConfig } from '../kernels.ts';
import { gpuUnavailable, requestAdapter, type AdapterChoice } from './gpu-adapter.ts';
import { GpuDevice, type LesserGpu } from './gpu-device.ts';
import { canOpen, kernelsOn } from './open-kernels.ts';
import { readShaders } from './read-shaders-node.ts';
import type { WebgpuKernels } from './webgpu-kernels.ts';

/**
 * Shaders are trusted to stay within their buffers: that each access is made sure of takes attention a third of its time on an H200, and decode a
 * tenth. A browser's always are.
 */
const DAWN_FEATURES = 'enable-dawn-features=disable_robustness';

/** Dawn's objects crash the process once they are collected, so that they are kept for as long as it lives. */
const KEPT: unknown[] = [];

/**
 * Opens a GPU through Dawn, the npm package `webgpu`, and compiles nothing yet.
 *
 * @throws KvantError BACKEND_UNAVAILABLE without the package or an adapter; as the constructor of WebgpuKernels
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

/** @param lesser see `GpuDevice.open` @throws KvantError BACKEND_UNAVAILABLE */
export async function openGpu(choice: AdapterChoice, lesser?: LesserGpu): Promise<GpuDevice> {
  const api = await openApi();
  const adapter = await requestAdapter(api, choice, "install the GPU's Vulkan driver");
  KEPT.push(adapter);
  const gpu = await GpuDevice.open(adapter, api.wgslLanguageFeatures, lesser);
  KEPT.push(gpu.device);
  return gpu;
}

async function openApi(): Promise<GPU> {
  try {
    const { create, globals } = await import('webgpu');
    Object.assign(globalThis, globals);
    const api = create([DAWN_FEATURES]);
    KEPT.push(api);
    return api;
  } catch (cause) {
    throw gpuUnavailable('the package webgpu is missing: npm install webgpu', cause);
  }
}
