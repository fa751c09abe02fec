/** A thread of `measureCeilings`: times its core's dot products and its reading, at the same time as the other threads do. */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiate } from '../kernels/wasm/wasm-module.ts';
import type { Ceilings } from './ceilings.ts';

export interface CeilingThreadData {
  readonly module: WebAssembly.Module;
  readonly numThreads: number;
  /** Two words: how many threads have come to the start of dot products, and of reading. */
  readonly arrivals: Int32Array<SharedArrayBuffer>;
}

const WASM_PAGE_BYTES = 2 ** 16;
/** Where static data of the kernels may lie. */
const FIRST_ADDRESS = 2 * WASM_PAGE_BYTES;
/** More than caches hold. */
const READ_BYTES = 2 ** 27;
const MAX_PAGES = 2 ** 16;
/** About a millisecond; V8 optimizes a function between two of its calls. */
const ROUNDS = 100_000;
const MACS_PER_ROUND = 64 * 16;
const BUDGET_MS = 300;

const { module, numThreads, arrivals } = workerData as CeilingThreadData;
const numPages = (FIRST_ADDRESS + READ_BYTES) / WASM_PAGE_BYTES;
const memory = new WebAssembly.Memory({ initial: numPages, maximum: MAX_PAGES, shared: true });
const exports = instantiate(module, memory);
// Pages that were never written are all the same page of zeros, which no memory need be read for.
new Uint8Array(memory.buffer).fill(1, FIRST_ADDRESS);

awaitAll(0);
const dotsMs = bestMs(() => exports.timeDots(FIRST_ADDRESS, ROUNDS));
awaitAll(1);
const readMs = bestMs(() => exports.readBytes(FIRST_ADDRESS, READ_BYTES));
parentPort?.postMessage({
  macsPerSecond: (1000 * ROUNDS * MACS_PER_ROUND) / dotsMs,
  bytesPerSecond: (1000 * READ_BYTES) / readMs,
} satisfies Ceilings);

function awaitAll(start: number): void {
  Atomics.add(arrivals, start, 1);
  Atomics.notify(arrivals, start);
  for (let count = Atomics.load(arrivals, start); count < numThreads; count = Atomics.load(arrivals, start)) {
    Atomics.wait(arrivals, start, count);
  }
}

function bestMs(run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  const endMs = performance.now() + BUDGET_MS;
  while (performance.now() < endMs) {
    const startMs = performance.now();
    run();
    best = Math.min(best, performance.now() - startMs);
  }
  return best;
}
