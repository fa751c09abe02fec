import { layoutOfLayers, PAGE_UNIT_BYTES, type PageLayout, type TileParts } from '../../cache/page-layout.ts';
import { KvantError } from '../../errors.ts';

/** Shaders read pages 16 bytes at a time. */
const ALIGNMENT_BYTES = 16;

/**
 * Pages that are more than a device binds in one piece lie in several buffers, by layers: the first has the first layers of all pages, and so
 * on, each as many but for the last. A place in the arena is a place in all of them, scaled down, so that shaders are told one number whichever
 * buffer they are given; pages do not overlap, since what a page has in a buffer is at most as large a part of it.
 */
export class LayerGroups {
  readonly numLayers: number;
  /** Of a group; the last one may have fewer. */
  readonly layersPerGroup: number;
  readonly count: number;

  /** As few groups as there can be, so that none of an arena is larger than `mostBytes`; a layer each where even that is too much. */
  static for(numLayers: number, arenaBytes: number, mostBytes: number): LayerGroups {
    const most = Math.max(1, Math.min(numLayers, Math.floor((mostBytes * numLayers) / arenaBytes)));
    return new LayerGroups(numLayers, Math.ceil(numLayers / Math.ceil(numLayers / most)));
  }

  constructor(numLayers: number, layersPerGroup: number) {
    this.numLayers = numLayers;
    this.layersPerGroup = layersPerGroup;
    this.count = Math.ceil(numLayers / layersPerGroup);
  }

  groupOf(layer: number): number {
    return Math.floor(layer / this.layersPerGroup);
  }

  firstLayer(group: number): number {
    return group * this.layersPerGroup;
  }

  /** Where a byte of the arena is in each group's buffer. */
  scale(offsetBytes: number): number {
    if (this.count === 1) return offsetBytes;
    const scaled = (offsetBytes * this.layersPerGroup) / this.numLayers;
    return Math.floor(scaled / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  }

  /** What each group has of a page. */
  layoutsOf(layout: PageLayout): PageLayout[] {
    if (this.count === 1) return [layout];
    return Array.from({ length: this.count }, (_, group) => {
      return layoutOfLayers(layout, this.firstLayer(group), this.layersPerGroup);
    });
  }

  /** @throws KvantError OUT_OF_MEMORY where a group would need more of a page than its part */
  check(layout: PageLayout): void {
    const room = this.scale(layout.pageBytes);
    if (this.count === 1 || this.layoutsOf(layout).every((part) => usedBytes(part) <= room)) return;
    const message =
      `the KV cache lies in ${this.count} buffers, as the GPU binds no more in one piece, and such a cache takes ` +
      'equally many bits in all layers: choose another KV format, lower --ctx, or use --backend wasm';
    throw new KvantError('OUT_OF_MEMORY', message);
  }

  /** Puts a page together from what the groups have of it. */
  join(layout: PageLayout, parts: readonly Uint8Array[]): Uint8Array {
    if (this.count === 1) return parts[0];
    const page = new Uint8Array(layout.pageBytes);
    this.#forEachPart(layout, (group, from, to, numBytes) => {
      page.set(parts[group].subarray(from, from + numBytes), to);
    });
    return page;
  }

  /** What the groups have of a page. */
  split(layout: PageLayout, page: Uint8Array): Uint8Array[] {
    if (this.count === 1) return [page];
    const parts = this.layoutsOf(layout).map((part) => new Uint8Array(usedBytes(part)));
    this.#forEachPart(layout, (group, to, from, numBytes) => {
      parts[group].set(page.subarray(from, from + numBytes), to);
    });
    return parts;
  }

  /** Of each group, layer and part: where it is in the group's part of a page, and where in the page. */
  #forEachPart(
    layout: PageLayout,
    visit: (group: number, inGroup: number, inPage: number, numBytes: number) => void,
  ): void {
    const { numKvHeads } = layout.shape;
    this.layoutsOf(layout).forEach((own, group) => {
      own.layers.forEach((layer, index) => {
        const whole = layout.layers[this.firstLayer(group) + index];
        const pairs: [TileParts, TileParts][] = [
          [layer.meta, whole.meta],
          [layer.planes[0], whole.planes[0]],
          [layer.planes[1], whole.planes[1]],
        ];
        for (const [inGroup, inPage] of pairs) {
          visit(group, inGroup.offsetBytes, inPage.offsetBytes, numKvHeads * inGroup.strideBytes);
        }
      });
    });
  }
}

/** Bytes of a page before it is filled up to whole units. */
export function usedBytes({ shape, layers }: PageLayout): number {
  const { offsetBytes, strideBytes } = layers[layers.length - 1].planes[1];
  return offsetBytes + shape.numKvHeads * strideBytes;
}

/** Bytes of units of page memory. */
export function unitBytes(numUnits: number): number {
  return numUnits * PAGE_UNIT_BYTES;
}
