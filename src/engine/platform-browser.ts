import { MemoryPageStore } from '../cache/page-store.ts';
import { KvantError } from '../errors.ts';
import { ReferenceKernels } from '../kernels/reference/reference-kernels.ts';
import { createWasmKernels } from '../kernels/wasm/create-wasm-kernels-browser.ts';
import { createWebgpuKernels } from '../kernels/webgpu/create-webgpu-kernels-browser.ts';
import { GPU_ADAPTERS, isWebgpu, WASM_ADDRESS_SPACE, WASM_BUILDS } from './backends.ts';
import { calibrationBytes, vocabularyBytes } from './heap-memory.ts';
import type { EnginePlatform } from './load-engine.ts';
import { browserSessionFiles } from './session-files-browser.ts';

/** A browser, as an engine sees it. */
export const browserPlatform: EnginePlatform = {
  async createKernels(backend, config) {
    if (backend === 'reference') return new ReferenceKernels(config);
    if (isWebgpu(backend)) return createWebgpuKernels(config, GPU_ADAPTERS[backend]);
    return createWasmKernels(config, WASM_BUILDS[backend]);
  },
  // What the machine has, browsers do not tell.
  memoryLimits: (backend) => (backend in WASM_BUILDS ? [WASM_ADDRESS_SPACE] : []),
  // Nor what they themselves take.
  runtimeBytes: ({ vocabularySize, tokenizerModel }) => vocabularyBytes(vocabularySize, tokenizerModel),
  calibrationBytes,
  async readTextFile(url) {
    try {
      const response = await fetch(url);
      if (response.status === 404) return undefined;
      if (!response.ok) throw new Error(`status ${response.status}`);
      return await response.text();
    } catch (cause) {
      throw new KvantError('FILE_ERROR', `cannot read "${url}": ${String(cause)}`, { cause });
    }
  },
  createPageStore: ({ maxBytes }) => new MemoryPageStore(maxBytes),
  sessions: browserSessionFiles,
  yieldToEvents: createYield(),
};

/** Lets messages arrive. A timer would do it too, but browsers let it wait for 4 ms. */
function createYield(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel() as unknown as Record<'port1' | 'port2', BrowserMessagePort>;
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    port2.postMessage(undefined);
    return promise;
  };
}

interface BrowserMessagePort {
  onmessage: () => void;
  postMessage(message: unknown): void;
}
