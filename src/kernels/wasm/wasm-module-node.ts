import { readFile } from 'node:fs/promises';
import { KvantError } from '../../errors.ts';
import { compileModule, type WasmFile } from './compile-module.ts';
import type { WantedIsa, WasmModule } from './wasm-module.ts';
import { canCompileWide, compileWide } from './wide-compile-node.ts';

/** Sources find the kernels in build/, the published package in dist/wasm/. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../../build/' : '../../wasm/';

/**
 * Compiles the best kernels that this engine accepts, or the ones asked for.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if they are missing, or the engine lacks SIMD or threads
 */
export async function compileWasmModule(wanted?: WantedIsa): Promise<WasmModule> {
  // Whoever names a build of 256 bits gets it tried, tested version of V8 or not.
  const isWide = wanted?.endsWith('256 bits') ?? canCompileWide();
  return compileModule({ read: readKernels, compileWide: isWide ? compileWide : undefined }, wanted);
}

async function readKernels(name: WasmFile): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`${FOLDER}${name}`, import.meta.url);
  try {
    return new Uint8Array(await readFile(url));
  } catch (error) {
    const message = `the WebAssembly kernels are not built (${name} is missing): run "npm run build:wasm"`;
    throw new KvantError('BACKEND_UNAVAILABLE', message, { cause: error });
  }
}
