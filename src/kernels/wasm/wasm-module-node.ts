import { readFile } from 'node:fs/promises';
import { KvantError } from '../../errors.ts';
import { fasterModule, type WasmIsa, type WasmModule } from './wasm-module.ts';

const FILES: Readonly<Record<WasmIsa, string>> = {
  'relaxed SIMD': 'kvant-relaxed.wasm',
  'relaxed SIMD in pairs': 'kvant-relaxed-pairs.wasm',
  SIMD: 'kvant-simd.wasm',
};
const ISAS = Object.keys(FILES) as WasmIsa[];

/** Sources find the kernels in build/, the published package in dist/wasm/. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../../build/' : '../../wasm/';

/**
 * Compiles the best kernels that this engine accepts, or the ones asked for.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if they are missing, or the engine lacks SIMD or threads
 */
export async function compileWasmModule(wanted?: WasmIsa): Promise<WasmModule> {
  const accepted: WasmModule[] = [];
  for (const isa of wanted ? [wanted] : ISAS) {
    // Without relaxed SIMD is the way out, not a rival.
    if (!wanted && isa === 'SIMD' && accepted.length > 0) break;
    const bytes = await readKernels(FILES[isa]);
    if (WebAssembly.validate(bytes)) accepted.push({ isa, module: await WebAssembly.compile(bytes) });
  }
  if (accepted.length === 0) {
    const message =
      'this JavaScript engine lacks WebAssembly SIMD or threads: use Node 22 or later, or --backend reference';
    throw new KvantError('BACKEND_UNAVAILABLE', message);
  }
  return accepted.length === 1 ? accepted[0] : fasterModule(accepted, () => performance.now());
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
