import { f16PageLayout, type PageLayout, type TileKind } from '../cache/page-layout.ts';
import type { KernelsConfig } from '../kernels/kernels.ts';
import { Pages } from '../kernels/reference/pages.ts';
import { tileBits, type TileBits } from '../quant/kv-format.ts';
import { openTile, sealTile } from '../quant/tile.ts';

/** Bytes of pages, as a text left them. */
export interface ObservedPages {
  /** Of `sealed` pages before they were sealed, and of the open page. */
  readonly open: readonly Uint8Array[];
  readonly sealed: readonly Uint8Array[];
  readonly sealedLayout: PageLayout;
  readonly sink: Uint8Array | undefined;
}

/** A query head's row: [numLayers] rows of [numHeads * headDim]. */
export interface ObservedQuery {
  readonly position: number;
  readonly layers: readonly Float32Array[];
}

/** What lies in a cache after a text, and what was asked of it. Heads are as they are stored, transformed by the format. */
export class ObservedCache {
  readonly config: KernelsConfig;
  readonly numTokens: number;
  /** Of tokens that are open to all `queries`. */
  readonly queries: readonly ObservedQuery[];
  readonly #open: Pages;
  readonly #sealed: Pages;
  readonly #sink: Pages | undefined;
  /** Heads of the layer that was asked for last, since what is asked for next is of the same one. */
  #decoded: { readonly layer: number; readonly heads: Map<string, Float64Array> } = { layer: 0, heads: new Map() };

  constructor(config: KernelsConfig, numTokens: number, pages: ObservedPages, queries: readonly ObservedQuery[]) {
    const { shape, format } = config;
    this.config = config;
    this.numTokens = numTokens;
    this.queries = queries;
    this.#open = pagesOf(f16PageLayout(format.pageSize, shape), pages.open);
    this.#sealed = pagesOf(pages.sealedLayout, pages.sealed);
    this.#sink = pages.sink && pagesOf(f16PageLayout(format.numSinkTokens, shape), [pages.sink]);
  }

  get numSealedPages(): number {
    return this.#sealed.numPages;
  }

  /** The query of a head, scaled by 1 / sqrt(headDim): [headDim]. */
  query({ layers }: ObservedQuery, layer: number, head: number): Float32Array {
    const { headDim } = this.config.shape;
    return layers[layer].subarray(head * headDim, (head + 1) * headDim);
  }

  /** A KV head as the model computed it, in f16: [numTokens, headDim]. Not to be changed. */
  exact(layer: number, head: number, kind: TileKind): Float64Array {
    if (this.#decoded.layer !== layer) this.#decoded = { layer, heads: new Map() };
    const key = `${kind}${head}`;
    const known = this.#decoded.heads.get(key);
    if (known) return known;
    const decoded = this.#decodeExact(layer, head, kind);
    this.#decoded.heads.set(key, decoded);
    return decoded;
  }

  /**
   * A KV head as attention sees it: what is in sealed pages as it can be read from them.
   *
   * @param bits as it would be if tiles were sealed in so many; default: as they are
   */
  cached(layer: number, head: number, kind: TileKind, bits = this.bits(layer, kind)): Float64Array {
    const { shape, format } = this.config;
    const values = this.exact(layer, head, kind).slice();
    const isOwn = bits === this.bits(layer, kind);
    for (let page = 0; page < this.numSealedPages; page++) {
      const tile = isOwn
        ? this.#sealed.readTile({ page, layer, head, kind }, format.pageSize)
        : this.#sealedAgain(layer, head, kind, page, bits);
      values.set(tile, this.#firstToken(page) * shape.headDim);
    }
    return values;
  }

  bits(layer: number, kind: TileKind): TileBits {
    return tileBits(this.config.format, kind, layer);
  }

  #sealedAgain(layer: number, head: number, kind: TileKind, page: number, bits: TileBits): Float64Array {
    const { shape, format } = this.config;
    const { headDim } = shape;
    const first = this.#firstToken(page) * headDim;
    const exact = this.exact(layer, head, kind).subarray(first, first + format.pageSize * headDim);
    if (bits === 16) return exact;
    const start = (layer * shape.numKvHeads + head) * headDim ** 2;
    const feedback = kind === 'k' ? format.k.feedback?.subarray(start, start + headDim ** 2) : undefined;
    const spec = { kind, bits, numTokens: format.pageSize, headDim };
    return openTile(spec, sealTile(spec, Float32Array.from(exact), feedback));
  }

  #decodeExact(layer: number, head: number, kind: TileKind): Float64Array {
    const { shape, format } = this.config;
    const values = new Float64Array(this.numTokens * shape.headDim);
    const place = { layer, head, kind };
    if (this.#sink) values.set(this.#sink.readTile({ ...place, page: 0 }, format.numSinkTokens));
    for (let page = 0; page <= this.numSealedPages; page++) {
      const first = this.#firstToken(page);
      const numTokens = Math.min(format.pageSize, this.numTokens - first);
      values.set(this.#open.readTile({ ...place, page }, numTokens), first * shape.headDim);
    }
    return values;
  }

  #firstToken(page: number): number {
    const { pageSize, numSinkTokens } = this.config.format;
    return numSinkTokens + page * pageSize;
  }
}

function pagesOf(layout: PageLayout, bytes: readonly Uint8Array[]): Pages {
  const pages = new Pages(layout, bytes.length);
  bytes.forEach((page, index) => pages.pageBytes(index).set(page));
  return pages;
}
