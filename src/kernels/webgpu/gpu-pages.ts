import { PAGE_UNIT_BYTES, type PageLayout } from '../../cache/page-layout.ts';
import { HandleTable } from '../handles.ts';
import type { PageArena, PageMemory, StepPages } from '../kernels.ts';
import { arenaPageMemory, checkCopy, unitsOf } from '../page-units.ts';
import type { GpuDevice, GpuRange } from './gpu-device.ts';
import { LayerGroups, unitBytes, usedBytes } from './layer-groups.ts';

/** Memory that pages lie in. */
export interface GpuArena {
  /** A buffer for each group of layers. */
  ranges: readonly GpuRange[];
  readonly groups: LayerGroups;
}

/** The buffer that has a layer of all pages. */
export function rangeOfLayer({ ranges, groups }: GpuArena, layer: number): GpuRange {
  return ranges[groups.groupOf(layer)];
}

interface Place {
  readonly arena: GpuArena;
  readonly startBytes: number;
  /** From the place of an index to that of the next. */
  readonly strideBytes: number;
}

const WORD_BYTES = 4;

/** Pages on the device. Those of `createPages` share an arena, which grows, so that all pages of a segment are in one buffer. */
export class GpuPages {
  readonly #gpu: GpuDevice;
  readonly #numLayers: number;
  readonly #places = new HandleTable<PageMemory, Place>('page memory');
  readonly #arenas = new HandleTable<PageArena, GpuArena>('page arena');
  #loose: GpuArena | undefined;
  #numBytes = 0;

  constructor(gpu: GpuDevice, numLayers: number) {
    this.#gpu = gpu;
    this.#numLayers = numLayers;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  /** @throws RangeError for a layout that is not whole units; KvantError OUT_OF_MEMORY */
  createPages(layout: PageLayout, numPages: number): PageMemory {
    const numBytes = layout.pageBytes * numPages;
    unitsOf(numBytes, `${numPages} pages`);
    const handle = { layout, numPages, arena: undefined } as PageMemory;
    const { arena, startBytes } = this.#grow(numBytes);
    return this.#places.add(handle, { arena, startBytes, strideBytes: layout.pageBytes });
  }

  createArena(numBytes: number): PageArena {
    const numUnits = unitsOf(numBytes, 'an arena of pages');
    const groups = LayerGroups.for(this.#numLayers, numBytes, this.#gpu.maxRangeBytes);
    const ranges = Array.from({ length: groups.count }, () => this.#allocate(groups.scale(numBytes)));
    const arena = { ranges, groups };
    return this.#arenas.add({ numUnits } as PageArena, arena);
  }

  /** @throws KvantError OUT_OF_MEMORY for a layout that does not suit an arena of several buffers */
  arenaPages(handle: PageArena, layout: PageLayout): PageMemory {
    const arena = this.#arenas.get(handle);
    const memory = arenaPageMemory(handle, layout);
    arena.groups.check(layout);
    return this.#places.add(memory, { arena, startBytes: 0, strideBytes: PAGE_UNIT_BYTES });
  }

  /** A page, by way of another buffer, since a buffer is not copied to itself. */
  copyUnits(handle: PageArena, fromUnit: number, toUnit: number, numUnits: number): void {
    const { ranges, groups } = this.#arenas.get(handle);
    checkCopy(handle, fromUnit, toUnit, numUnits);
    if (numUnits === 0) return;
    const [from, to, numBytes] = [fromUnit, toUnit, numUnits].map((units) => groups.scale(unitBytes(units)));
    const { device } = this.#gpu;
    const between = this.#gpu.allocate(numBytes, 'moving pages');
    const encoder = device.createCommandEncoder();
    for (const { buffer } of ranges) {
      encoder.copyBufferToBuffer(buffer, from, between.buffer, 0, numBytes);
      encoder.copyBufferToBuffer(between.buffer, 0, buffer, to, numBytes);
    }
    device.queue.submit([encoder.finish()]);
    this.#gpu.free(between);
  }

  /** What a segment's pages lie in. @throws TypeError if they lie in several */
  arenaOf({ sealed, open, sink }: StepPages): GpuArena {
    const { arena } = this.#places.get(sealed);
    const others = sink ? [open, sink] : [open];
    const isOne = others.every((memory) => this.#places.get(memory).arena === arena);
    if (!isOne) throw new TypeError('the pages of a segment lie in several arenas');
    return arena;
  }

  /** Where a page starts, in each buffer of its arena. */
  wordOf(memory: PageMemory, page: number): number {
    const { arena, startBytes, strideBytes } = this.#places.get(memory);
    return arena.groups.scale(startBytes + page * strideBytes) / WORD_BYTES;
  }

  /** A copy as of this call. */
  read(memory: PageMemory, page: number): Promise<Uint8Array> {
    const { ranges, groups } = this.#places.get(memory).arena;
    checkPage(memory, page);
    const { layout } = memory;
    const sizes = groups.count === 1 ? [layout.pageBytes] : groups.layoutsOf(layout).map(usedBytes);
    const start = this.wordOf(memory, page) * WORD_BYTES;
    const reads = ranges.map((range, group) => this.#gpu.read(range, start, sizes[group]));
    return Promise.all(reads).then((parts) => groups.join(layout, parts));
  }

  write(memory: PageMemory, page: number, bytes: Uint8Array): void {
    const { arena } = this.#places.get(memory);
    checkPage(memory, page);
    const { pageBytes } = memory.layout;
    if (bytes.length !== pageBytes) throw new RangeError(`${bytes.length} bytes for a page of ${pageBytes}`);
    const start = this.wordOf(memory, page) * WORD_BYTES;
    arena.groups.split(memory.layout, bytes).forEach((part, group) => {
      this.#gpu.write(arena.ranges[group], part, start);
    });
  }

  #grow(numBytes: number): { arena: GpuArena; startBytes: number } {
    const before = this.#loose?.ranges[0];
    const startBytes = before?.numBytes ?? 0;
    const range = this.#allocate(startBytes + numBytes);
    if (before) {
      const encoder = this.#gpu.device.createCommandEncoder();
      encoder.copyBufferToBuffer(before.buffer, 0, range.buffer, 0, startBytes);
      this.#gpu.device.queue.submit([encoder.finish()]);
      this.#gpu.free(before);
      this.#numBytes -= startBytes;
    }
    if (this.#loose) this.#loose.ranges = [range];
    this.#loose ??= { ranges: [range], groups: new LayerGroups(this.#numLayers, this.#numLayers) };
    return { arena: this.#loose, startBytes };
  }

  #allocate(numBytes: number): GpuRange {
    const range = this.#gpu.allocate(numBytes, 'the pages of the KV cache');
    this.#numBytes += range.numBytes;
    return range;
  }
}

function checkPage({ numPages }: PageMemory, page: number): void {
  if (!Number.isInteger(page) || page < 0 || page >= numPages) {
    throw new RangeError(`page ${page} is not in [0, ${numPages})`);
  }
}
