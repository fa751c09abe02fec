import { PAGE_UNIT_BYTES, type PageLayout } from '../../cache/page-layout.ts';
import { HandleTable } from '../handles.ts';
import type { PageArena, PageMemory } from '../kernels.ts';
import { arenaPageMemory, checkCopy, unitsOf } from '../page-units.ts';
import type { SharedMemory } from './shared-memory.ts';

interface PageBuffer {
  readonly address: number;
  /** From the place of an index to that of the next. */
  readonly strideBytes: number;
}

/** Pages in shared memory, see `Kernels`. */
export class WasmPages {
  readonly #memory: SharedMemory;
  readonly #pages = new HandleTable<PageMemory, PageBuffer>('page memory');
  readonly #arenas = new HandleTable<PageArena, number>('page arena');
  #numBytes = 0;

  constructor(memory: SharedMemory) {
    this.#memory = memory;
  }

  /** Of all pages and arenas. */
  get numBytes(): number {
    return this.#numBytes;
  }

  create(layout: PageLayout, numPages: number): PageMemory {
    const { pageBytes } = layout;
    unitsOf(numPages * pageBytes, `${numPages} pages`);
    const address = this.#allocate(numPages * pageBytes, `${numPages} pages of the KV cache`);
    return this.#pages.add({ layout, numPages, arena: undefined } as PageMemory, { address, strideBytes: pageBytes });
  }

  createArena(numBytes: number): PageArena {
    const numUnits = unitsOf(numBytes, 'an arena of pages');
    return this.#arenas.add({ numUnits } as PageArena, this.#allocate(numBytes, 'pages of the KV cache'));
  }

  inArena(arena: PageArena, layout: PageLayout): PageMemory {
    const address = this.#arenas.get(arena);
    return this.#pages.add(arenaPageMemory(arena, layout), { address, strideBytes: PAGE_UNIT_BYTES });
  }

  copyUnits(arena: PageArena, fromUnit: number, toUnit: number, numUnits: number): void {
    const address = this.#arenas.get(arena);
    checkCopy(arena, fromUnit, toUnit, numUnits);
    const [from, to, length] = [fromUnit, toUnit, numUnits].map((units) => units * PAGE_UNIT_BYTES);
    this.#memory.bytes(address, arena.numUnits * PAGE_UNIT_BYTES).copyWithin(to, from, from + length);
  }

  /** Gives the address of a page that is known to exist. */
  addressOf(pages: PageMemory): (page: number) => number {
    const { address, strideBytes } = this.#pages.get(pages);
    return (page) => address + page * strideBytes;
  }

  /** The bytes of a page, not copied. @throws RangeError if there is no such page */
  bytesOf(pages: PageMemory, page: number): Uint8Array {
    const addressOf = this.addressOf(pages);
    if (!Number.isInteger(page) || page < 0 || page >= pages.numPages) {
      throw new RangeError(`page ${page} is not in [0, ${pages.numPages})`);
    }
    return this.#memory.bytes(addressOf(page), pages.layout.pageBytes);
  }

  #allocate(numBytes: number, what: string): number {
    const address = this.#memory.allocate(numBytes, what);
    this.#numBytes += numBytes;
    return address;
  }
}
