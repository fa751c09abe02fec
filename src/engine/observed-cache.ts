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

  /** A KV head as the model computed it, in f16: [numTokens, headDim]. */
  exact(layer: number, head: number, kind: TileKind): Float64Array {
    return this.#assemble(layer, head, kind, (page) => this.#exactTile(layer, head, kind, page));
  }

  /**
   * A KV head as attention sees it: what is in sealed pages as it can be read from them.
   *
   * @param bits as it would be if tiles were sealed in so many; default: as they are
   */
  cached(layer: number, head: number, kind: TileKind, bits = this.bits(layer, kind)): Float64Array {
    if (bits !== this.bits(layer, kind)) {
      return this.#assemble(layer, head, kind, (page) => this.#sealedAgain(layer, head, kind, page, bits));
    }
    const tokens = this.config.format.pageSize;
    return this.#assemble(layer, head, kind, (page) => this.#sealed.readTile({ page, layer, head, kind }, tokens));
  }

  bits(layer: number, kind: TileKind): TileBits {
    return tileBits(this.config.format, kind, layer);
  }

  #exactTile(layer: number, head: number, kind: TileKind, page: number): Float64Array {
    return this.#open.readTile({ page, layer, head, kind }, this.config.format.pageSize);
  }

  #sealedAgain(layer: number, head: number, kind: TileKind, page: number, bits: TileBits): Float64Array {
    const exact = this.#exactTile(layer, head, kind, page);
    if (bits === 16) return exact;
    const { shape, format } = this.config;
    const { headDim } = shape;
    const start = (layer * shape.numKvHeads + head) * headDim ** 2;
    const feedback = kind === 'k' ? format.k.feedback?.subarray(start, start + headDim ** 2) : undefined;
    const spec = { kind, bits, numTokens: format.pageSize, headDim };
    return openTile(spec, sealTile(spec, Float32Array.from(exact), feedback));
  }

  /** Sink tokens, sealed pages read by `readSealed`, and the open page. */
  #assemble(layer: number, head: number, kind: TileKind, readSealed: (page: number) => Float64Array): Float64Array {
    const { shape, format } = this.config;
    const { pageSize, numSinkTokens } = format;
    const values = new Float64Array(this.numTokens * shape.headDim);
    const place = { layer, head, kind };
    if (this.#sink) values.set(this.#sink.readTile({ ...place, page: 0 }, numSinkTokens));
    for (let page = 0; page < this.numSealedPages; page++) {
      values.set(readSealed(page), (numSinkTokens + page * pageSize) * shape.headDim);
    }
    const openStart = numSinkTokens + this.numSealedPages * pageSize;
    const open = this.#open.readTile({ ...place, page: this.numSealedPages }, this.numTokens - openStart);
    values.set(open, openStart * shape.headDim);
    return values;
  }
}

function pagesOf(layout: PageLayout, bytes: readonly Uint8Array[]): Pages {
  const pages = new Pages(layout, bytes.length);
  bytes.forEach((page, index) => pages.pageBytes(index).set(page));
  return pages;
}
