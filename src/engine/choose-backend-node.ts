import { existsSync, readdirSync } from 'node:fs';
import { hasHardwareGpu } from '../kernels/webgpu/create-webgpu-kernels-node.ts';
import type { EngineLoadOptions } from './protocol.ts';
import type { BackendName } from './types.ts';

/** Where Linux has its GPUs: without any of these there is none, and its Vulkan loader need not say so on the terminal. */
const LINUX_GPUS = ['/dev/nvidiactl', '/dev/dxg', '/dev/kfd'];
const LINUX_RENDERERS = '/dev/dri';

/** What runs: `auto` is webgpu where there is a GPU, otherwise wasm, which is also what nothing asked for gives. */
export async function chooseBackend(name: BackendName | undefined): Promise<EngineLoadOptions['backend']> {
  if (name !== 'auto') return name ?? 'wasm';
  return mayHaveGpu() && (await hasHardwareGpu()) ? 'webgpu' : 'wasm';
}

function mayHaveGpu(): boolean {
  if (process.platform !== 'linux') return true;
  if (LINUX_GPUS.some((path) => existsSync(path))) return true;
  return existsSync(LINUX_RENDERERS) && readdirSync(LINUX_RENDERERS).some((name) => name.startsWith('renderD'));
}
