import { KvantError } from '../../errors.ts';
import { compileModule, type WasmFile } from './compile-module.ts';
import type { WantedIsa, WasmModule } from './wasm-module.ts';

/** Written out one by one, so that bundlers see which files belong to the program. The published package has them in dist/wasm/. */
const URLS: Readonly<Record<WasmFile, URL>> = {
  'kvant-relaxed.wasm': new URL('../../../build/kvant-relaxed.wasm', import.meta.url),
  'kvant-relaxed-pairs.wasm': new URL('../../../build/kvant-relaxed-pairs.wasm', import.meta.url),
  'kvant-simd.wasm': new URL('../../../build/kvant-simd.wasm', import.meta.url),
  'dot-speed-relaxed.wasm': new URL('../../../build/dot-speed-relaxed.wasm', import.meta.url),
  'dot-speed-relaxed-pairs.wasm': new URL('../../../build/dot-speed-relaxed-pairs.wasm', import.meta.url),
  'dot-speed-simd.wasm': new URL('../../../build/dot-speed-simd.wasm', import.meta.url),
};

/**
 * Compiles the best kernels that this browser accepts, or the ones asked for.
 *
 * @throws KvantError BACKEND_UNAVAILABLE if they are missing, or the browser lacks SIMD or threads
 */
export function compileWasmModule(wanted?: WantedIsa): Promise<WasmModule> {
  return compileModule({ read: readKernels, compileWide: undefined }, wanted);
}

async function readKernels(name: WasmFile): Promise<Uint8Array<ArrayBuffer>> {
  const { href } = URLS[name];
  try {
    const response = await fetch(href);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    const message = `the WebAssembly kernels ${href} cannot be read (${String(cause)}): serve them with the rest of the program`;
    throw new KvantError('BACKEND_UNAVAILABLE', message, { cause });
  }
}
