import type { RuntimeDemand } from './memory-plan.ts';

/**
 * What a process takes beside weights, pages and scratch: Node.js itself (its program, of which about 60 MB are resident), the
 * JavaScript heaps and stacks of the main thread, of the engine's worker and of every kernel thread, compiled code, and the vocabulary.
 *
 * Measured, as no sum over parts would be right: peak resident memory (VmHWM) of `kvant generate --tokens FILE --max-tokens 1` less the
 * weights, pages and scratch of memory-plan.ts, with 1, 2, 4 and 8 threads, vocabularies of 2,000 to 150,000 tokens, and compiled code in
 * the cache already, on Linux x64. `kvant bench load` puts the plan beside what a process of yours takes. Without a compile cache, on
 * the first start for instance, a process takes up to 20 MB more.
 */
interface RuntimeBytes {
  /** With one thread, and a vocabulary of none. */
  readonly fixed: number;
  /** Of every further kernel thread. */
  readonly thread: number;
}

/** By major version of Node.js; a version between two is taken for the older one. Its type stripping is a part of the sources' share. */
const MEASURED: Readonly<Record<'sources' | 'package', readonly (readonly [major: number, RuntimeBytes])[]>> = {
  sources: [
    [22, { fixed: 141.5e6, thread: 21.6e6 }],
    [24, { fixed: 116.5e6, thread: 11.3e6 }],
    [26, { fixed: 117e6, thread: 8.6e6 }],
  ],
  package: [
    [22, { fixed: 102e6, thread: 11.7e6 }],
    [24, { fixed: 98e6, thread: 11e6 }],
    [26, { fixed: 101.5e6, thread: 8.6e6 }],
  ],
};

/**
 * A token takes its text and its places in hash tables, which V8 doubles when they are full: bytes per place. Byte-level vocabularies
 * (`gpt2`) have the list of merges, too.
 */
const TABLE_PLACE_BYTES = { gpt2: 260, other: 200 } as const;

/** Of the process, before a model is loaded into it. */
export function idleRuntimeBytes(): number {
  return measured().fixed;
}

/** With the model's vocabulary and all threads. */
export function runtimeBytes({ numThreads, backend, vocabularySize, tokenizerModel }: RuntimeDemand): number {
  const { fixed, thread } = measured();
  const numKernelThreads = backend === 'reference' ? 0 : numThreads - 1;
  const places = 2 ** Math.ceil(Math.log2(Math.max(1, vocabularySize)));
  const placeBytes = tokenizerModel === 'gpt2' ? TABLE_PLACE_BYTES.gpt2 : TABLE_PLACE_BYTES.other;
  return fixed + numKernelThreads * thread + places * placeBytes;
}

function measured(): RuntimeBytes {
  const table = MEASURED[import.meta.url.endsWith('.ts') ? 'sources' : 'package'];
  const major = Number(process.versions.node.split('.')[0]);
  const [, bytes] = table.findLast(([version]) => version <= major) ?? table[0];
  return bytes;
}
