import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { KernelThreadData, KernelThreads } from './kernel-threads.ts';

const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './kernel-thread-node.ts' : './kernel-thread-node.js',
  import.meta.url,
);

/** They run wasm and no JavaScript: two MB of short-lived objects are plenty. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 2 };

/** Kernel threads of Node, see `StartKernelThreads`. */
export async function startKernelThreads(
  numThreads: number,
  shared: Omit<KernelThreadData, 'thread'>,
): Promise<KernelThreads> {
  const workers = Array.from({ length: numThreads - 1 }, (_, i) => {
    const workerData: KernelThreadData = { ...shared, thread: i + 1 };
    return new Worker(ENTRY, { workerData, name: `kvant-kernel-${i + 1}`, resourceLimits: RESOURCE_LIMITS });
  });
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  // They hold nothing that would be lost: they must not keep the process alive.
  for (const worker of workers) worker.unref();
  return { end: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))) };
}
