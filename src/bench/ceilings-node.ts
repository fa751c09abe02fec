import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { CeilingThreadData } from './ceiling-thread-node.ts';
import type { Ceilings } from './ceilings.ts';

const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? './ceiling-thread-node.ts' : './ceiling-thread-node.js',
  import.meta.url,
);

/**
 * Measures for about a second what the machine can do on some threads at once.
 *
 * @param module the build of the kernels that is to be judged by it
 */
export async function measureCeilings(module: WebAssembly.Module, numThreads: number): Promise<Ceilings> {
  const arrivals = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  const workerData: CeilingThreadData = { module, numThreads, arrivals };
  const workers = Array.from({ length: numThreads }, (_, i) => {
    return new Worker(ENTRY, { workerData, name: `kvant-ceiling-${i}` });
  });
  try {
    const messages = await Promise.all(workers.map((worker) => once(worker, 'message')));
    const ceilings = messages.map(([ceiling]) => ceiling as Ceilings);
    return {
      macsPerSecond: ceilings.reduce((sum, { macsPerSecond }) => sum + macsPerSecond, 0),
      bytesPerSecond: ceilings.reduce((sum, { bytesPerSecond }) => sum + bytesPerSecond, 0),
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
