import { KvantError } from '../../errors.ts';
import type { KernelThreadData, KernelThreads } from './kernel-threads.ts';

const ISOLATION =
  'serve the page with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';

/**
 * Kernel threads of a browser, see `StartKernelThreads`.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if a worker does not start, or more than one thread is wanted where pages may not share memory
 */
export async function startKernelThreads(
  numThreads: number,
  shared: Omit<KernelThreadData, 'thread'>,
): Promise<KernelThreads> {
  if (numThreads > 1 && !crossOriginIsolated) throw notIsolated(numThreads);
  const workers = Array.from({ length: numThreads - 1 }, () => {
    return new Worker(new URL('./kernel-thread-browser.ts', import.meta.url), { type: 'module', name: 'kvant-kernel' });
  });
  const end = async (): Promise<void> => workers.forEach((worker) => worker.terminate());
  try {
    await Promise.all(workers.map((worker, i) => started(worker, { ...shared, thread: i + 1 })));
    return { end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Browsers share memory only with pages that are kept apart from others. */
function notIsolated(numThreads: number): KvantError {
  const message = `${numThreads} threads of the wasm backend need shared memory: ${ISOLATION}, or load with threads: 1`;
  return new KvantError('BACKEND_UNAVAILABLE', message);
}

/**
 * One thread takes shared memory, too, which some browsers refuse to pages that are not kept apart.
 *
 * @throws KvantError BACKEND_UNAVAILABLE
 */
export function checkSharedMemory(): void {
  try {
    new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  } catch (cause) {
    const message = `the wasm backend needs shared memory: ${ISOLATION}, or use a browser with WebGPU and --backend webgpu`;
    throw new KvantError('BACKEND_UNAVAILABLE', message, { cause });
  }
}

function started(worker: Worker, data: KernelThreadData): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  worker.addEventListener('message', () => resolve());
  worker.addEventListener('error', ({ message = 'its script cannot be loaded' }) => {
    reject(new KvantError('BACKEND_UNAVAILABLE', `a kernel thread does not start: ${message}`));
  });
  worker.postMessage(data);
  return promise;
}
