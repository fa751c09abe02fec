import type { Kernels, KernelsConfig } from '../kernels.ts';
import { createWasmKernels } from '../wasm/create-wasm-kernels-node.ts';
import type { WasmIsa } from '../wasm/wasm-module.ts';
import { canCompileWide } from '../wasm/wide-compile-node.ts';

const WIDE_ISAS: readonly WasmIsa[] = canCompileWide()
  ? ['relaxed SIMD, 256 bits', 'relaxed SIMD in pairs, 256 bits']
  : [];

/** What this machine's engine can run. */
export const WASM_ISAS: readonly WasmIsa[] = ['relaxed SIMD', 'relaxed SIMD in pairs', 'SIMD', ...WIDE_ISAS];

/** All builds of the kernels, on one thread and on more than many a test machine has cores. */
const BUILDS: readonly { readonly isa: WasmIsa; readonly numThreads: number }[] = [
  { isa: 'relaxed SIMD', numThreads: 1 },
  { isa: 'relaxed SIMD', numThreads: 3 },
  { isa: 'relaxed SIMD in pairs', numThreads: 1 },
  { isa: 'SIMD', numThreads: 1 },
  { isa: 'SIMD', numThreads: 3 },
  ...WIDE_ISAS.map((isa) => ({ isa, numThreads: 1 })),
];

/** What titles say of them. */
export const BUILDS_TITLE = 'all builds, 1 and 3 threads';

/** Starts every build of the wasm kernels for one configuration. `description` tells them apart. */
export async function createWasmBuilds(config: KernelsConfig): Promise<readonly Kernels[]> {
  return Promise.all(BUILDS.map(({ isa, numThreads }) => createWasmKernels({ ...config, numThreads }, isa)));
}

/** For tests that need kernels for many configurations: threads take long to start, so that one build has them. */
const FEWER_BUILDS = BUILDS.filter(({ isa, numThreads }) => (isa === 'SIMD') === (numThreads === 3));

export const FEWER_BUILDS_TITLE = 'all builds, one on 3 threads';

/** Runs `test` on every build in turn, each closed at its end. */
export async function forEachWasmBuild(
  config: KernelsConfig,
  test: (kernels: Kernels) => Promise<void>,
): Promise<void> {
  for (const { isa, numThreads } of FEWER_BUILDS) {
    const kernels = await createWasmKernels({ ...config, numThreads }, isa);
    try {
      await test(kernels);
    } finally {
      await kernels.close();
    }
  }
}

export async function closeAll(builds: readonly Kernels[]): Promise<void> {
  await Promise.all(builds.map((kernels) => kernels.close()));
}

/** How a failure names a build. */
export function buildName({ description: { isa, threads } }: Kernels): string {
  return `${isa}, ${threads} threads`;
}
