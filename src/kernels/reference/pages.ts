import { KvantError } from '../../errors.ts';
import { layoutBits, metaOffsetBytes, planeOffsetBytes } from '../../cache/page-layout.ts';
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

/** Pages of one layout, as the bytes that docs/page-format.md defines. */
export class Pages {
  readonly layout: PageLayout;
  readonly numPages: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  /** @throws KvantError OUT_OF_MEMORY */
  constructor(layout: PageLayout, numPages: number) {
    this.layout = layout;
    this.numPages = numPages;
    try {
      this.#bytes = new Uint8Array(layout.pageBytes * numPages);
    } catch (cause) {
      const message = `no memory for ${numPages} pages of ${layout.pageBytes} bytes: lower the context`;
      throw new KvantError('OUT_OF_MEMORY', message, { cause });
    }
    this.#view = new DataView(this.#bytes.buffer);
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** The bytes of a page, not copied. @throws RangeError if there is no such page */
  pageBytes(page: number): Uint8Array {
    if (!Number.isInteger(page) || page < 0 || page >= this.numPages) {
      throw new RangeError(`page ${page} is not in [0, ${this.numPages})`);
    }
    const start = page * this.layout.pageBytes;
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
    return page * this.layout.pageBytes + tileStart + 2 * token * this.layout.shape.headDim;
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
