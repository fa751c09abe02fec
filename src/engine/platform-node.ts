import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MemoryPageStore } from '../cache/page-store.ts';
import { KvantError } from '../errors.ts';
import { ReferenceKernels } from '../kernels/reference/reference-kernels.ts';
import { createWebgpuKernels } from '../kernels/webgpu/create-webgpu-kernels-node.ts';
import { createWasmKernels } from '../kernels/wasm/create-wasm-kernels-node.ts';
import { GPU_ADAPTERS, isWebgpu, WASM_ADDRESS_SPACE, WASM_BUILDS } from './backends.ts';
import { DiskPageStore } from './disk-page-store-node.ts';
import { calibrationBytes } from './heap-memory.ts';
import type { EnginePlatform } from './load-engine.ts';
import type { MemoryLimit } from './memory-plan.ts';
import { idleRuntimeBytes, runtimeBytes } from './runtime-memory-node.ts';
import { nodeSessionFiles } from './session-files-node.ts';

async function readTextFileIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new KvantError('FILE_ERROR', `cannot read "${path}": ${String(error)}`, { cause: error });
  }
}

/** Node.js, as an engine sees it. */
export const nodePlatform: EnginePlatform = {
  async createKernels(backend, config) {
    if (backend === 'reference') return new ReferenceKernels(config);
    if (isWebgpu(backend)) return createWebgpuKernels(config, GPU_ADAPTERS[backend]);
    return createWasmKernels(config, WASM_BUILDS[backend]);
  },
  memoryLimits(backend) {
    // What the system, or the container that the process runs in, still has to give, and what the process has taken of a plan already.
    const bytes = process.availableMemory() + Math.min(process.memoryUsage.rss(), idleRuntimeBytes());
    const machine: MemoryLimit = { bytes, name: 'this machine', of: 'process' };
    return backend in WASM_BUILDS ? [WASM_ADDRESS_SPACE, machine] : [machine];
  },
  runtimeBytes,
  calibrationBytes,
  readTextFile: readTextFileIfThere,
  createPageStore({ kind, folder, maxBytes }) {
    return kind === 'memory' ? new MemoryPageStore(maxBytes) : new DiskPageStore(maxBytes, folder);
  },
  sessions: nodeSessionFiles,
  // A turn of the event loop, in which messages of other threads arrive: awaiting a settled promise gives them no chance.
  yieldToEvents: () => nextTurn(),
};
