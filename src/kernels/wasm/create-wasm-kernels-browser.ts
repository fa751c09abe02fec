import type { KernelsConfig } from '../kernels.ts';
import { KernelRuntime } from './kernel-runtime.ts';
import { checkSharedMemory, startKernelThreads } from './kernel-threads-browser.ts';
import { WasmKernels } from './wasm-kernels.ts';
import type { WantedIsa } from './wasm-module.ts';
import { compileWasmModule } from './wasm-module-browser.ts';

/**
 * Starts the wasm backend: compiles the kernels and the threads that share one memory.
 *
 * @param wanted a particular build of the kernels, for tests and comparisons; the best one otherwise
 * @throws KvantError BACKEND_UNAVAILABLE, OUT_OF_MEMORY; RangeError if the configuration contradicts itself
 */
export async function createWasmKernels(config: KernelsConfig, wanted?: WantedIsa): Promise<WasmKernels> {
  checkSharedMemory();
  const runtime = await KernelRuntime.start(config, await compileWasmModule(wanted), startKernelThreads);
  try {
    return new WasmKernels(config, runtime);
  } catch (error) {
    await runtime.close();
    throw error;
  }
}
