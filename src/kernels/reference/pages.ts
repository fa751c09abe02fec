import { KvantError } from '../../errors.ts';
import { layoutBits, metaOffsetBytes, PAGE_UNIT_BYTES, planeOffsetBytes } from '../../cache/page-layout.ts';
import type { PageLayout, TileKind } from '../../cache/page-layout.ts';
import { f16BitsClamped, f16Value } from '../../quant/f16.ts';
import { tileMetaBytes, tilePlanesBytes } from '../../quant/tile-spec.ts';
import type { TileSpec } from '../../quant/tile-spec.ts';
import { openTile, sealTile } from '../../quant/tile.ts';

/** Which tile of a page. */
export interface TilePlace {
  readonly page: number;
  readonly layer: number;
  readonly head: number;
  readonly kind: TileKind;
}

/** Memory that pages of several layouts lie in. */
export class ArenaBytes {
  readonly bytes: Uint8Array;
  readonly #onWrite: ((startBytes: number, endBytes: number) => void)[] = [];

  /** @throws KvantError OUT_OF_MEMORY */
  constructor(numBytes: number) {
    this.bytes = allocate(numBytes, `${numBytes} bytes of pages`);
  }

  /** Calls with every range of bytes that is about to change. */
  watch(onWrite: (startBytes: number, endBytes: number) => void): void {
    this.#onWrite.push(onWrite);
  }

  changes(startBytes: number, endBytes: number): void {
    for (const onWrite of this.#onWrite) onWrite(startBytes, endBytes);
  }
}

function allocate(numBytes: number, what: string): Uint8Array {
  try {
    return new Uint8Array(numBytes);
  } catch (cause) {
    throw new KvantError('OUT_OF_MEMORY', `no memory for ${what}: lower the context`, { cause });
  }
}

/** Pages of one layout, as the bytes that docs/page-format.md defines. */
export class Pages {
  readonly layout: PageLayout;
  readonly numPages: number;
  readonly #arena: ArenaBytes | undefined;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** From the place of an index to that of the next. */
  readonly #strideBytes: number;

  /**
   * @param arena in which the pages lie, each where its index says in units; default: one after the other in memory of their own
   * @throws KvantError OUT_OF_MEMORY
   */
  constructor(layout: PageLayout, numPages: number, arena?: ArenaBytes) {
    const { pageBytes } = layout;
    this.layout = layout;
    this.numPages = numPages;
    this.#arena = arena;
    this.#bytes = arena?.bytes ?? allocate(pageBytes * numPages, `${numPages} pages of ${pageBytes} bytes`);
    this.#view = new DataView(this.#bytes.buffer);
    this.#strideBytes = arena ? PAGE_UNIT_BYTES : pageBytes;
  }

  /** Of memory of their own: none in an arena. */
  get sizeBytes(): number {
    return this.#arena ? 0 : this.#bytes.length;
  }

  /** Where a page starts in its memory. */
  startBytes(page: number): number {
    return page * this.#strideBytes;
  }

  /** Says that a page is about to change, to whoever keeps something of its memory. */
  changes(page: number): void {
    const start = this.startBytes(page);
    this.#arena?.changes(start, start + this.layout.pageBytes);
  }

  /** The bytes of a page, not copied. @throws RangeError if there is no such page */
  pageBytes(page: number): Uint8Array {
    if (!Number.isInteger(page) || page < 0 || page >= this.numPages) {
      throw new RangeError(`page ${page} is not in [0, ${this.numPages})`);
    }
    const start = this.startBytes(page);
    return this.#bytes.subarray(start, start + this.layout.pageBytes);
  }

  /** Rounds a token's keys or values to f16 and stores them in an f16 page. */
  writeToken(place: TilePlace, token: number, values: Float32Array): void {
    const start = this.#f16Offset(place, token);
    values.forEach((value, i) => this.#view.setUint16(start + 2 * i, f16BitsClamped(value), true));
  }

  /**
   * Stores f16 values, [numTokens, headDim], as their side of the layout is stored: as they are, or quantized.
   *
   * @param feedback of K, [headDim, headDim], see `sealTile`
   */
  writeTile(place: TilePlace, values: Float32Array, feedback?: Float32Array): void {
    const spec = this.#tileSpec(place);
    if (!spec) {
      const start = this.#f16Offset(place, 0);
      values.forEach((value, i) => this.#view.setUint16(start + 2 * i, f16BitsClamped(value), true));
      return;
    }
    const tile = sealTile(spec, values, feedback);
    this.#metaBytes(place, spec).set(tile.meta);
    tile.planes.forEach((plane, index) => this.#planeBytes(place, spec, index).set(plane));
  }

  /** The values of a tile's first `numTokens` tokens, [numTokens, headDim], decoded exactly. */
  readTile(place: TilePlace, numTokens: number): Float64Array {
    const length = numTokens * this.layout.shape.headDim;
    const spec = this.#tileSpec(place);
    if (!spec) {
      const start = this.#f16Offset(place, 0);
      return new Float64Array(length).map((_, i) => f16Value(this.#view.getUint16(start + 2 * i, true)));
    }
    const planes = tilePlanesBytes(spec).map((_, index) => this.#planeBytes(place, spec, index));
    return openTile(spec, { meta: this.#metaBytes(place, spec), planes }).subarray(0, length);
  }

  /** What the tile quantizer must know; undefined where this side is kept in f16. */
  #tileSpec({ layer, kind }: TilePlace): TileSpec | undefined {
    const { numTokens, shape } = this.layout;
    const bits = layoutBits(this.layout, layer, kind);
    return bits === 16 ? undefined : { kind, bits, numTokens, headDim: shape.headDim };
  }

  #f16Offset({ page, layer, head, kind }: TilePlace, token: number): number {
    const tileStart = planeOffsetBytes(this.layout, 0, layer, head, kind);
    return this.startBytes(page) + tileStart + 2 * token * this.layout.shape.headDim;
  }

  #metaBytes({ page, layer, head, kind }: TilePlace, spec: TileSpec): Uint8Array {
    const start = metaOffsetBytes(this.layout, layer, head, kind);
    return this.pageBytes(page).subarray(start, start + tileMetaBytes(spec));
  }

  #planeBytes({ page, layer, head, kind }: TilePlace, spec: TileSpec, index: number): Uint8Array {
    const start = planeOffsetBytes(this.layout, index, layer, head, kind);
    return this.pageBytes(page).subarray(start, start + tilePlanesBytes(spec)[index]);
  }
}
