import { setFlagsFromString } from 'node:v8';

/**
 * Versions of V8 whose revectorizer has passed the tests of this project: it puts two 128-bit operations side by side into one of 256
 * bits (docs/decisions/0004-wide-vectors.md). It is an experiment of V8's, off by default.
 */
const TESTED_V8 = /^(13\.6|14\.1)\./;

/** On for the compilation of one module, then off again: revectorize, and optimize all functions at once. */
const FLAGS = [
  { on: '--experimental-wasm-revectorize', off: '--no-experimental-wasm-revectorize' },
  { on: '--no-liftoff', off: '--liftoff' },
  { on: '--no-wasm-lazy-compilation', off: '--wasm-lazy-compilation' },
  // V8 14.1 inlines by what the first tier has counted, and gives up where there was none.
  { on: '--no-wasm-inlining', off: '--wasm-inlining' },
];

/** A custom section named "wide". V8 compiles equal bytes once only, however the flags stand. */
const MARK = [0, 5, 4, 0x77, 0x69, 0x64, 0x65];

export function canCompileWide(versions: NodeJS.ProcessVersions = process.versions, arch = process.arch): boolean {
  return arch === 'x64' && versions.bun === undefined && TESTED_V8.test(versions.v8);
}

/** Compiles for 256-bit vectors where the CPU has them (AVX2); the flags are the whole process's, so it is done in one go. */
export function compileWide(bytes: Uint8Array): WebAssembly.Module {
  const marked = new Uint8Array(bytes.length + MARK.length);
  marked.set(bytes);
  marked.set(MARK, bytes.length);
  for (const { on } of FLAGS) setFlagsFromString(on);
  try {
    return new WebAssembly.Module(marked);
  } finally {
    for (const { off } of FLAGS) setFlagsFromString(off);
  }
}
