/** What the AssemblyScript module exports; see assembly/index.ts. */
export interface KernelExports {
  runCommands(control: number): void;
  serve(control: number, thread: number): void;
  readonly stripBytes: (type: number, numCols: number) => number;
  quantizedRowBytes(width: number): number;
  timeDots(address: number, rounds: number): void;
  readBytes(address: number, numBytes: number): number;
}

/**
 * Builds of the kernels. With relaxed SIMD, bytes are multiplied in fours (one instruction on CPUs with VNNI or SDOT that the engine
 * knows) or in pairs (VPMADDUBSW); `SIMD` runs where relaxed SIMD is missing. All give the same integers.
 */
export type WasmBuild = 'relaxed SIMD' | 'relaxed SIMD in pairs' | 'SIMD';

/** A build, as it was compiled: for vectors of 128 bits, or of 256 where two operations side by side could be put together. */
export type WasmIsa = WasmBuild | `${WasmBuild}, 256 bits`;

/** A build, or the fastest one for vectors of 128 bits. */
export type WantedIsa = WasmIsa | '128 bits';

export interface WasmModule {
  readonly isa: WasmIsa;
  readonly module: WebAssembly.Module;
}

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): KernelExports {
  const imports = { env: { memory, abort: failKernel } };
  return new WebAssembly.Instance(module, imports).exports as unknown as KernelExports;
}

function failKernel(): never {
  throw new WebAssembly.RuntimeError('a kernel gave up');
}

/** A trial takes about a tenth of a millisecond. So many that the best one is of optimized code on a core of its own. */
const TRIAL_ROUNDS = 1000;
const NUM_TRIALS = 30;
const ANY_ADDRESS = 4096;

/** A module that exports `timeDots`. */
export interface DotProbe {
  readonly build: WasmBuild;
  readonly module: WebAssembly.Module;
}

/** The build whose dot products run faster here: no property that JavaScript can read tells it, so it is timed. */
export function fasterBuild(probes: readonly DotProbe[], now: () => number): WasmBuild {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 ** 16, shared: true });
  const runs = probes.map(({ build, module }) => ({ build, exports: instantiate(module, memory), best: Infinity }));
  for (let trial = 0; trial < NUM_TRIALS; trial++) {
    for (const run of runs) {
      const start = now();
      run.exports.timeDots(ANY_ADDRESS, TRIAL_ROUNDS);
      run.best = Math.min(run.best, now() - start);
    }
  }
  return runs.reduce((best, run) => (run.best < best.best ? run : best)).build;
}
