import type { KernelsConfig } from '../kernels.ts';
import { createWebgpuKernels } from '../webgpu/create-webgpu-kernels-browser.ts';
import type { WebgpuKernels } from '../webgpu/webgpu-kernels.ts';

/** As software-gpu.ts, for a page: whoever opens it has found out that there is a GPU. */

export const SKIP_WEBGPU: string | false = false;

/** A device, which may be computed. */
export function createSoftwareGpu(config: KernelsConfig): Promise<WebgpuKernels> {
  return createWebgpuKernels(config, 'any');
}
