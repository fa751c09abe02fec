import { KvantError } from '../../errors.ts';

const WASM_PAGE_BYTES = 65_536;
/** wasm32 cannot address more. */
const MAX_WASM_PAGES = 65_536;

/** The one memory that all kernel threads share. Grows as it is allocated; nothing is ever freed. */
export class SharedMemory {
  readonly memory: WebAssembly.Memory;
  /** The first page belongs to the module. */
  #end = WASM_PAGE_BYTES;

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: 2, maximum: MAX_WASM_PAGES, shared: true });
  }

  /**
   * Reserves zeroed bytes at a multiple of 64, a cache line.
   *
   * @param what for the error
   * @throws KvantError OUT_OF_MEMORY
   */
  allocate(numBytes: number, what: string): number {
    const address = this.#end;
    const end = address + Math.ceil(numBytes / 64) * 64;
    const missing = Math.ceil(end / WASM_PAGE_BYTES) - this.memory.buffer.byteLength / WASM_PAGE_BYTES;
    if (missing > 0) this.#grow(missing, numBytes, what);
    this.#end = end;
    return address;
  }

  #grow(numPages: number, numBytes: number, what: string): void {
    try {
      this.memory.grow(numPages);
    } catch (error) {
      const message =
        `out of memory: ${megabytes(numBytes)} MB for ${what} beside ${megabytes(this.#end)} MB in use; ` +
        `WebAssembly addresses at most 4,295 MB. Use a smaller model, a smaller --ctx, or fewer bits (--kv q4)`;
      throw new KvantError('OUT_OF_MEMORY', message, { cause: error });
    }
  }

  get allocatedBytes(): number {
    return this.#end;
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }

  words(address: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, address, length);
  }

  floats(address: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, length);
  }
}

function megabytes(bytes: number): string {
  return Math.ceil(bytes / 1e6).toLocaleString('en-US');
}
