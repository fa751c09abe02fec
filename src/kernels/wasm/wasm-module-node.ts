import { readFile } from 'node:fs/promises';
import { KvantError } from '../../errors.ts';
import type { WasmIsa, WasmModule } from './wasm-module.ts';

const FILES: Readonly<Record<WasmIsa, string>> = { 'relaxed SIMD': 'kvant-relaxed.wasm', SIMD: 'kvant-simd.wasm' };

/** Sources find the kernels in build/, the published package in dist/wasm/. */
const FOLDER = import.meta.url.endsWith('.ts') ? '../../../build/' : '../../wasm/';

/**
 * Compiles the best kernels that this engine accepts, or the ones asked for.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if they are missing or the engine lacks SIMD or threads
 */
export async function compileWasmModule(wanted?: WasmIsa): Promise<WasmModule> {
  const candidates: readonly WasmIsa[] = wanted ? [wanted] : ['relaxed SIMD', 'SIMD'];
  for (const isa of candidates) {
    const bytes = await readKernels(FILES[isa]);
    if (WebAssembly.validate(bytes)) return { isa, module: await WebAssembly.compile(bytes) };
  }
  const message = `this JavaScript engine lacks WebAssembly ${candidates.at(-1)} with threads: use Node 22 or later, or --backend reference`;
  throw new KvantError('BACKEND_UNAVAILABLE', message);
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
