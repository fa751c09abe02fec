import { KvantError } from '../../errors.ts';
import { fasterBuild, type DotProbe, type WantedIsa, type WasmBuild, type WasmModule } from './wasm-module.ts';

/** A build's kernels, and its `timeDots` in a module of its own, which compiles in no time. */
const FILES = {
  'relaxed SIMD': { kernels: 'kvant-relaxed.wasm', probe: 'dot-speed-relaxed.wasm' },
  'relaxed SIMD in pairs': { kernels: 'kvant-relaxed-pairs.wasm', probe: 'dot-speed-relaxed-pairs.wasm' },
  SIMD: { kernels: 'kvant-simd.wasm', probe: 'dot-speed-simd.wasm' },
} as const satisfies Readonly<Record<WasmBuild, { readonly kernels: string; readonly probe: string }>>;

export type WasmFile = (typeof FILES)[WasmBuild]['kernels' | 'probe'];

/** What compiling depends on of a platform. */
export interface WasmCompiler {
  /** @throws KvantError BACKEND_UNAVAILABLE if the file is missing */
  readonly read: (file: WasmFile) => Promise<Uint8Array<ArrayBuffer>>;
  /** Compiles for vectors of 256 bits; undefined where that cannot be. */
  readonly compileWide: ((bytes: Uint8Array<ArrayBuffer>) => WebAssembly.Module) | undefined;
}

const RELAXED = ['relaxed SIMD', 'relaxed SIMD in pairs'] as const;
const WIDE = ', 256 bits';

/**
 * Compiles the best kernels that this engine accepts, or the ones asked for.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if they are missing, or the engine lacks SIMD or threads
 */
export async function compileModule(
  { read, compileWide }: WasmCompiler,
  wanted: WantedIsa | undefined,
): Promise<WasmModule> {
  const isNamed = wanted !== undefined && wanted !== '128 bits';
  const build = isNamed ? (wanted.replace(WIDE, '') as WasmBuild) : await bestBuild(read);
  const canBeWide = wanted === undefined && build !== 'SIMD';
  const bytes = await read(FILES[build].kernels);
  if (!WebAssembly.validate(bytes)) throw unsupported();
  if (compileWide && (isNamed ? wanted.endsWith(WIDE) : canBeWide)) {
    return { isa: `${build}${WIDE}`, module: compileWide(bytes) };
  }
  return { isa: build, module: await WebAssembly.compile(bytes) };
}

async function bestBuild(read: WasmCompiler['read']): Promise<WasmBuild> {
  const accepted: DotProbe[] = [];
  for (const build of RELAXED) {
    const bytes = await read(FILES[build].probe);
    if (WebAssembly.validate(bytes)) accepted.push({ build, module: await WebAssembly.compile(bytes) });
  }
  // Without relaxed SIMD is the way out, not a rival.
  return accepted.length === 0 ? 'SIMD' : fasterBuild(accepted, () => performance.now());
}

function unsupported(): KvantError {
  const message =
    'this JavaScript engine lacks WebAssembly SIMD or threads: use Node 22 or later or a recent browser, or --backend reference';
  return new KvantError('BACKEND_UNAVAILABLE', message);
}
