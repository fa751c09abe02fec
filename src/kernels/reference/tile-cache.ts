import type { Pages, TilePlace } from './pages.ts';

/**
 * Decoded tiles of full pages, kept since every later query reads them again. Once full it takes no more: queries go
 * through all pages in order, so that replacing the oldest would always throw out what is read next.
 */
export class TileCache {
  readonly #pages: Pages;
  readonly #maxBytes: number;
  /** By page, then by tile. */
  readonly #tiles = new Map<number, Map<number, Float64Array>>();
  #sizeBytes = 0;

  constructor(pages: Pages, maxBytes: number) {
    this.#pages = pages;
    this.#maxBytes = maxBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** All values of a tile, [numTokens, headDim]. */
  read(place: TilePlace): Float64Array {
    const index = this.#tileIndex(place);
    const cached = this.#tiles.get(place.page)?.get(index);
    if (cached) return cached;
    const tile = this.#pages.readTile(place, this.#pages.layout.numTokens);
    if (this.#sizeBytes + tile.byteLength <= this.#maxBytes) {
      const ofPage = this.#tiles.get(place.page) ?? new Map<number, Float64Array>();
      this.#tiles.set(place.page, ofPage.set(index, tile));
      this.#sizeBytes += tile.byteLength;
    }
    return tile;
  }

  /** Forgets the tiles of pages that have bytes in a range. */
  forgetBytes(startBytes: number, endBytes: number): void {
    const { pageBytes } = this.#pages.layout;
    for (const page of this.#tiles.keys()) {
      const start = this.#pages.startBytes(page);
      if (start < endBytes && startBytes < start + pageBytes) this.forgetPage(page);
    }
  }

  /** Forgets the tiles of a page whose bytes change. */
  forgetPage(page: number): void {
    for (const tile of this.#tiles.get(page)?.values() ?? []) this.#sizeBytes -= tile.byteLength;
    this.#tiles.delete(page);
  }

  #tileIndex({ layer, head, kind }: TilePlace): number {
    return 2 * (layer * this.#pages.layout.shape.numKvHeads + head) + (kind === 'v' ? 1 : 0);
  }
}
