import { KvantError } from '../../errors.ts';
import type { KernelsConfig } from '../kernels.ts';
import type { GpuDevice } from './gpu-device.ts';
import type { ShaderSources } from './shaders.ts';
import { WebgpuKernels } from './webgpu-kernels.ts';

/** Kernels on a device that has just been opened, which is closed if they cannot be made. @throws what either throws */
export async function kernelsOn(
  gpu: GpuDevice,
  config: KernelsConfig,
  readShaders: () => Promise<ShaderSources>,
): Promise<WebgpuKernels> {
  try {
    return new WebgpuKernels(config, gpu, await readShaders());
  } catch (error) {
    gpu.close();
    throw error;
  }
}

/** Whether a device can be opened; it is closed again. @throws what is no KvantError */
export async function canOpen(open: () => Promise<GpuDevice>): Promise<boolean> {
  try {
    (await open()).close();
    return true;
  } catch (error) {
    if (error instanceof KvantError) return false;
    throw error;
  }
}
