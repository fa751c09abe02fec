import { readFile } from 'node:fs/promises';
import { KvantError } from '../../errors.ts';
import { fasterBuild, type DotProbe, type WantedIsa, type WasmBuild, type WasmModule } from './wasm-module.ts';
import { canCompileWide, compileWide } from './wide-compile-node.ts';

/** A build's kernels, and its `timeDots` in a module of its own, which compiles in no time. */
const FILES: Readonly<Record<WasmBuild, { readonly kernels: string; readonly probe: string }>> = {
  'relaxed SIMD': { kernels: 'kvant-relaxed.wasm', probe: 'dot-speed-relaxed.wasm' },
  'relaxed SIMD in pairs': { kernels: 'kvant-relaxed-pairs.wasm', probe: 'dot-speed-relaxed-pairs.wasm' },
  SIMD: { kernels: 'kvant-simd.wasm', probe: 'dot-speed-simd.wasm' },
};
const RELAXED: readonly WasmBuild[] = ['relaxed SIMD', 'relaxed SIMD in pairs'];
const WIDE = ', 256 bits';

/** Sources find the kernels in build/, the published package in dist/wasm/. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../../build/' : '../../wasm/';

/**
 * Compiles the best kernels that this engine accepts, or the ones asked for.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if they are missing, or the engine lacks SIMD or threads
 */
export async function compileWasmModule(wanted?: WantedIsa): Promise<WasmModule> {
  const isNamed = wanted !== undefined && wanted !== '128 bits';
  const build = isNamed ? (wanted.replace(WIDE, '') as WasmBuild) : await bestBuild();
  const isWide = isNamed ? wanted.endsWith(WIDE) : wanted === undefined && build !== 'SIMD' && canCompileWide();
  const bytes = await readKernels(FILES[build].kernels);
  if (!WebAssembly.validate(bytes)) throw unsupported();
  if (!isWide) return { isa: build, module: await WebAssembly.compile(bytes) };
  return { isa: `${build}${WIDE}`, module: compileWide(bytes) };
}

async function bestBuild(): Promise<WasmBuild> {
  const accepted: DotProbe[] = [];
  for (const build of RELAXED) {
    const bytes = await readKernels(FILES[build].probe);
    if (WebAssembly.validate(bytes)) accepted.push({ build, module: await WebAssembly.compile(bytes) });
  }
  // Without relaxed SIMD is the way out, not a rival.
  return accepted.length === 0 ? 'SIMD' : fasterBuild(accepted, () => performance.now());
}

function unsupported(): KvantError {
  const message =
    'this JavaScript engine lacks WebAssembly SIMD or threads: use Node 22 or later, or --backend reference';
  return new KvantError('BACKEND_UNAVAILABLE', message);
}

async function readKernels(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`${FOLDER}${name}`, import.meta.url);
  try {
    return new Uint8Array(await readFile(url));
  } catch (error) {
    const message = `the WebAssembly kernels are not built (${name} is missing): run "npm run build:wasm"`;
    throw new KvantError('BACKEND_UNAVAILABLE', message, { cause: error });
  }
}
