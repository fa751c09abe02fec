import { hadamardFloat32, hadamardFloat64 } from '../../quant/hadamard.ts';
import { multiplyHead } from '../../quant/head-transform.ts';
import type { KvFormat, TileFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig, Segment } from '../kernels.ts';
import { attendHead } from './attention.ts';
import type { KeyValueBlock } from './attention.ts';
import type { Pages, TilePlace } from './pages.ts';
import { rope } from './rope.ts';
import type { RowBuffer } from './row-buffer.ts';
import type { TileCache } from './tile-cache.ts';

/** The page memories of a segment. */
export interface StepMemory {
  readonly sealed: Pages;
  readonly sealedTiles: TileCache;
  readonly open: Pages;
  readonly sink: Pages | undefined;
}

/**
 * What happens between the projections and the pages: RoPE, rotation, storing, attention, sealing; one segment at a
 * time.
 */
export class KeyValues {
  readonly #config: KernelsConfig;
  readonly #scores: Float64Array;
  readonly #head: Float64Array;
  readonly #stored: Float32Array;

  constructor(config: KernelsConfig) {
    this.#config = config;
    this.#scores = new Float64Array(config.maxContext);
    this.#head = new Float64Array(config.shape.headDim);
    this.#stored = new Float32Array(config.shape.headDim);
  }

  get scratchBytes(): number {
    return this.#scores.byteLength + this.#head.byteLength + this.#stored.byteLength;
  }

  /**
   * Rotates and scales the segment's rows of q in place, and stores its keys and values. See `Kernels.storeKeysValues`.
   */
  store(memory: StepMemory, segment: Segment, layer: number, q: RowBuffer, k: RowBuffer, v: RowBuffer): void {
    const { format } = segment.pages;
    for (let i = 0; i < segment.numRows; i++) {
      const row = segment.firstRow + i;
      const position = segment.firstPosition + i;
      this.#prepareQueries(format, layer, q.row(row), position);
      const { pages, page, token } = this.#placeOf(memory, segment, position);
      for (let head = 0; head < this.#config.shape.numKvHeads; head++) {
        const key = this.#storedKey(format, k.row(row), layer, head, position);
        pages.writeToken({ page, layer, head, kind: 'k' }, token, key);
        const value = this.#transformed(this.#headOf(v.row(row), head), format.v, layer, head);
        pages.writeToken({ page, layer, head, kind: 'v' }, token, value);
      }
    }
  }

  /** Attention of the segment's rows. See `Kernels.attend`. */
  attend(memory: StepMemory, segment: Segment, layer: number, q: RowBuffer, out: RowBuffer): void {
    const { shape, numHeads } = this.#config;
    const headsPerKvHead = numHeads / shape.numKvHeads;
    for (let kvHead = 0; kvHead < shape.numKvHeads; kvHead++) {
      const blocks = this.#visibleBlocks(memory, segment, layer, kvHead);
      for (let i = 0; i < segment.numRows; i++) {
        const row = segment.firstRow + i;
        for (let h = kvHead * headsPerKvHead; h < (kvHead + 1) * headsPerKvHead; h++) {
          const output = this.#headOf(out.row(row), h);
          attendHead(this.#headOf(q.row(row), h), segment.firstPosition + i, blocks, this.#scores, output);
          this.#restoreOutput(segment.pages.format, output, layer * shape.numKvHeads + kvHead);
        }
      }
    }
  }

  /** Seals the layer's tiles of the segment's open page into page `target`. */
  seal(memory: StepMemory, segment: Segment, layer: number, target: number): void {
    const { shape } = this.#config;
    const { format } = segment.pages;
    for (let head = 0; head < shape.numKvHeads; head++) {
      for (const kind of ['k', 'v'] as const) {
        const values = memory.open.readTile({ page: segment.openPage, layer, head, kind }, format.pageSize);
        const feedback = kind === 'k' ? this.#feedbackOf(format, layer, head) : undefined;
        memory.sealed.writeTile({ page: target, layer, head, kind }, Float32Array.from(values), feedback);
      }
    }
  }

  #feedbackOf(format: KvFormat, layer: number, head: number): Float32Array | undefined {
    const { shape } = this.#config;
    const size = shape.headDim ** 2;
    const index = layer * shape.numKvHeads + head;
    return format.k.feedback?.subarray(index * size, (index + 1) * size);
  }

  #prepareQueries(format: KvFormat, layer: number, queries: Float64Array, position: number): void {
    const { shape, numHeads, ropeFrequencies } = this.#config;
    const headsPerKvHead = numHeads / shape.numKvHeads;
    for (let h = 0; h < numHeads; h++) {
      const head = this.#headOf(queries, h);
      const index = layer * shape.numKvHeads + Math.floor(h / headsPerKvHead);
      rope(head, position, ropeFrequencies);
      if (format.k.transforms) head.set(multiplyHead(format.k.transforms.inverse, index, head, true));
      else if (format.k.rotate) hadamardFloat64(head, 0, shape.headDim);
      for (let c = 0; c < head.length; c++) head[c] /= Math.sqrt(shape.headDim);
    }
  }

  #storedKey(format: KvFormat, keys: Float64Array, layer: number, head: number, position: number): Float32Array {
    this.#head.set(this.#headOf(keys, head));
    rope(this.#head, position, this.#config.ropeFrequencies);
    return this.#transformed(this.#head, format.k, layer, head);
  }

  #transformed(x: Float64Array, { rotate, transforms }: TileFormat, layer: number, head: number): Float32Array {
    const index = layer * this.#config.shape.numKvHeads + head;
    this.#stored.set(transforms ? multiplyHead(transforms.forward, index, x, false) : x);
    if (rotate && !transforms) hadamardFloat32(this.#stored, 0, this.#stored.length);
    return this.#stored;
  }

  /** Undoes V's transform. */
  #restoreOutput(format: KvFormat, output: Float64Array, index: number): void {
    const { rotate, transforms } = format.v;
    if (transforms) output.set(multiplyHead(transforms.inverse, index, output, false));
    else if (rotate) hadamardFloat64(output, 0, output.length);
  }

  #headOf(row: Float64Array, head: number): Float64Array {
    const { headDim } = this.#config.shape;
    return row.subarray(head * headDim, (head + 1) * headDim);
  }

  #placeOf(memory: StepMemory, segment: Segment, position: number): { pages: Pages; page: number; token: number } {
    const { numSinkTokens, pageSize } = segment.pages.format;
    if (memory.sink && segment.sinkPage !== undefined && position < numSinkTokens) {
      return { pages: memory.sink, page: segment.sinkPage, token: position };
    }
    return { pages: memory.open, page: segment.openPage, token: (position - numSinkTokens) % pageSize };
  }

  /** Everything that a row of the segment may see, and what lies after it within the segment. */
  #visibleBlocks(memory: StepMemory, segment: Segment, layer: number, head: number): KeyValueBlock[] {
    const { numSinkTokens, pageSize } = segment.pages.format;
    const end = segment.firstPosition + segment.numRows;
    const blocks: KeyValueBlock[] = [];
    const add = (
      firstPosition: number,
      numTokens: number,
      page: number,
      read: (at: TilePlace) => Float64Array,
    ): void => {
      const at = { page, layer, head };
      blocks.push({ firstPosition, numTokens, k: read({ ...at, kind: 'k' }), v: read({ ...at, kind: 'v' }) });
    };
    const { sink, sealedTiles, open } = memory;
    if (sink && segment.sinkPage !== undefined) {
      const numTokens = Math.min(numSinkTokens, end);
      add(0, numTokens, segment.sinkPage, (at) => sink.readTile(at, numTokens));
    }
    segment.sealedPages.forEach((page, index) => {
      add(numSinkTokens + index * pageSize, pageSize, page, (at) => sealedTiles.read(at));
    });
    const openStart = numSinkTokens + segment.sealedPages.length * pageSize;
    if (end > openStart) {
      add(openStart, end - openStart, segment.openPage, (at) => open.readTile(at, end - openStart));
    }
    return blocks;
  }
}
