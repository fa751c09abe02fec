/** What the AssemblyScript module exports; see assembly/index.ts. */
export interface KernelExports {
  runCommands(control: number): void;
  serve(control: number, thread: number): void;
  stripBytes(type: number, numCols: number): number;
  quantizedRowBytes(width: number): number;
}

/** `relaxed SIMD` has the dot product that V8 lowers to one instruction; `SIMD` runs where that is missing. */
export type WasmIsa = 'relaxed SIMD' | 'SIMD';

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
