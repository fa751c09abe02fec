import { hasHardwareGpu } from '../kernels/webgpu/create-webgpu-kernels-browser.ts';
import type { EngineLoadOptions } from './protocol.ts';
import type { BackendName } from './types.ts';

/** What runs: `auto`, which is also what nothing asked for gives, is webgpu where there is a GPU, otherwise wasm. */
export async function chooseBackend(name: BackendName | undefined): Promise<EngineLoadOptions['backend']> {
  if (name !== undefined && name !== 'auto') return name;
  return (await hasHardwareGpu()) ? 'webgpu' : 'wasm';
}
