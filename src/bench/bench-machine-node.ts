import { WASM_BUILDS } from '../engine/backends.ts';
import type { Kernels, KernelsConfig } from '../kernels/kernels.ts';
import { createWasmKernels } from '../kernels/wasm/create-wasm-kernels-node.ts';
import { compileWasmModule } from '../kernels/wasm/wasm-module-node.ts';
import type { WasmIsa } from '../kernels/wasm/wasm-module.ts';
import { createWebgpuKernels, openGpu } from '../kernels/webgpu/create-webgpu-kernels-node.ts';
import type { AdapterChoice } from '../kernels/webgpu/gpu-adapter.ts';
import { measureGpuCeilings } from '../kernels/webgpu/gpu-ceilings.ts';
import { readShaders } from '../kernels/webgpu/read-shaders-node.ts';
import type { Ceilings } from './ceilings.ts';
import { measureCeilings } from './ceilings-node.ts';

/** Kernels that are measured, and how long their last step took by the clock of a device, if they run on one. */
export interface MeasuredKernels {
  readonly kernels: Kernels;
  readonly deviceMs: () => Promise<number | undefined>;
}

/** What kernels are measured on. */
export interface BenchMachine {
  createKernels(config: KernelsConfig): Promise<MeasuredKernels>;
  /** What it can do at most, on so many threads. */
  measureCeilings(numThreads: number, isa: string): Promise<Ceilings>;
}

export type MeasuredBackend = keyof typeof WASM_BUILDS | 'webgpu' | 'webgpu-software';

export function benchMachine(backend: MeasuredBackend): BenchMachine {
  if (backend === 'webgpu') return gpuMachine('hardware');
  if (backend === 'webgpu-software') return gpuMachine('any');
  return {
    async createKernels(config) {
      return { kernels: await createWasmKernels(config, WASM_BUILDS[backend]), deviceMs: async () => undefined };
    },
    async measureCeilings(numThreads, isa) {
      const { module } = await compileWasmModule(isa as WasmIsa);
      return measureCeilings(module, numThreads);
    },
  };
}

function gpuMachine(choice: AdapterChoice): BenchMachine {
  return {
    async createKernels(config) {
      const kernels = await createWebgpuKernels(config, choice);
      const timer = kernels.startTimer();
      return { kernels, deviceMs: async () => timer?.readMs() };
    },
    async measureCeilings() {
      const gpu = await openGpu(choice);
      try {
        return await measureGpuCeilings(gpu, await readShaders());
      } finally {
        gpu.close();
      }
    },
  };
}
