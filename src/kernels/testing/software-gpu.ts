import { existsSync } from 'node:fs';
import { KvantError } from '../../errors.ts';
import type { KernelsConfig } from '../kernels.ts';
import { createWebgpuKernels, openGpu } from '../webgpu/create-webgpu-kernels-node.ts';
import type { WebgpuKernels } from '../webgpu/webgpu-kernels.ts';

/** Where Debian's chromium has SwiftShader, a GPU that is computed. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Why tests of the webgpu backend cannot run here; false if they can. */
export const SKIP_WEBGPU: string | false = await reasonToSkip();

async function reasonToSkip(): Promise<string | false> {
  if (existsSync(SWIFTSHADER)) process.env.VK_DRIVER_FILES ??= SWIFTSHADER;
  else if (process.env.VK_DRIVER_FILES === undefined) return 'no GPU: apt-get install chromium libvulkan1';
  try {
    (await openGpu('any')).close();
    return false;
  } catch (error) {
    if (error instanceof KvantError) return error.message;
    throw error;
  }
}

/** A device, which may be computed. */
export function createSoftwareGpu(config: KernelsConfig): Promise<WebgpuKernels> {
  return createWebgpuKernels(config, 'any');
}
