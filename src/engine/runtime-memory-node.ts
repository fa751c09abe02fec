import * as nodeModule from 'node:module';
import { vocabularyBytes } from './heap-memory.ts';
import type { RuntimeDemand } from './memory-plan.ts';

/**
 * What a process takes beside weights, pages and scratch: Node.js itself (its program, of which about 60 MB are resident), the
 * JavaScript heaps and stacks of the main thread, of the engine's worker and of every kernel thread, compiled code, and the vocabulary.
 *
 * Measured, as no sum over parts would be right: peak resident memory (VmHWM) of `kvant generate --tokens FILE --max-tokens 1` less the
 * weights, pages and scratch of memory-plan.ts, with 1, 2, 4 and 8 threads and vocabularies of 2,000 to 150,000 tokens, on Linux x64.
 * `kvant bench load` puts the plan beside what a process of yours takes.
 */
interface RuntimeBytes {
  /** With one thread, and a vocabulary of none. */
  readonly fixed: number;
  /** Of every further kernel thread. */
  readonly thread: number;
  /**
   * Type stripping in the engine's worker, where no compile cache has the stripped sources. The first start finds an empty one and takes
   * as much. (The main thread strips what comes before its cache is open: a part of `fixed`.)
   */
  readonly uncached?: number;
}

/** By major version of Node.js; one between two counts as the older. Sources are run by stripping their types, the package is JavaScript. */
const MEASURED: Readonly<Record<'sources' | 'package', readonly (readonly [major: number, RuntimeBytes])[]>> = {
  sources: [
    [22, { fixed: 132e6, thread: 21.6e6 }],
    [24, { fixed: 119.5e6, thread: 11.3e6, uncached: 22.5e6 }],
    [26, { fixed: 121e6, thread: 8.6e6, uncached: 22.5e6 }],
  ],
  package: [
    [22, { fixed: 97e6, thread: 11.7e6 }],
    [24, { fixed: 102e6, thread: 11e6 }],
    [26, { fixed: 101.5e6, thread: 8.6e6 }],
  ],
};

/** Of the process, before a model is loaded into it. */
export function idleRuntimeBytes(): number {
  const { fixed, uncached = 0 } = measured();
  const { getCompileCacheDir }: Partial<typeof nodeModule> = nodeModule;
  return getCompileCacheDir?.() === undefined ? fixed + uncached : fixed;
}

/** With the model's vocabulary and all threads. */
export function runtimeBytes({ numThreads, backend, vocabularySize, tokenizerModel }: RuntimeDemand): number {
  const { thread } = measured();
  const numKernelThreads = backend.startsWith('wasm') ? numThreads - 1 : 0;
  return idleRuntimeBytes() + numKernelThreads * thread + vocabularyBytes(vocabularySize, tokenizerModel);
}

function measured(): RuntimeBytes {
  const table = MEASURED[import.meta.url.endsWith('.ts') ? 'sources' : 'package'];
  const major = Number(process.versions.node.split('.')[0]);
  const [, bytes] = table.findLast(([version]) => version <= major) ?? table[0];
  return bytes;
}
