import { KvantError } from '../../errors.ts';
import type { KernelThreadData, KernelThreads } from './kernel-threads.ts';

/**
 * Kernel threads of a browser, see `StartKernelThreads`.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if a worker does not start, or more than one thread is wanted where pages may not share memory
 */
export async function startKernelThreads(
  numThreads: number,
  shared: Omit<KernelThreadData, 'thread'>,
): Promise<KernelThreads> {
  if (numThreads > 1 && !crossOriginIsolated) throw notIsolated(`${numThreads} threads`);
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

/** Browsers share memory only with pages that are kept apart from others. @param what takes shared memory */
export function notIsolated(what: string, cause?: unknown): KvantError {
  const headers = 'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  const message = `${what} of the wasm backend need shared memory: serve the page with the headers ${headers}, or load with threads: 1`;
  return new KvantError('BACKEND_UNAVAILABLE', message, { cause });
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
