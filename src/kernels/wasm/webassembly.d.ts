/** The part of WebAssembly's JavaScript interface that is used here; TypeScript has it only together with the whole DOM. */
declare namespace WebAssembly {
  class Module {
    readonly [Symbol.toStringTag]: string;
    constructor(bytes: Uint8Array<ArrayBuffer>);
  }

  class Instance {
    readonly exports: Record<string, unknown>;
    constructor(module: Module, imports: Record<string, Record<string, unknown>>);
  }

  class Memory {
    readonly buffer: SharedArrayBuffer;
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    grow(numPages: number): number;
  }

  class RuntimeError extends Error {}

  function validate(bytes: Uint8Array<ArrayBuffer>): boolean;
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
}
