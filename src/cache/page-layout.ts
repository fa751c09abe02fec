import { planesOf, type PlaneBits } from '../quant/bit-planes.ts';
import { tileBits, type KvFormat, type TileBits, type TileKind } from '../quant/kv-format.ts';
import { tileMetaBytes, tilePlaneBytes } from '../quant/tile-spec.ts';

export type { TileKind } from '../quant/kv-format.ts';

/** Pages are whole units of so many bytes, a cache line, and start at multiples of it. */
export const PAGE_UNIT_BYTES = 64;

/** What a model keeps of each token: numLayers x numKvHeads heads of headDim channels, in K and in V. */
export interface KvShape {
  readonly numLayers: number;
  readonly numKvHeads: number;
  readonly headDim: number;
}

/** Where the tiles of a layer have one of their parts: the metadata, or a plane. */
export interface TileParts {
  /** Where the first head's K part starts in the page. */
  readonly offsetBytes: number;
  /** From one head to the next. */
  readonly strideBytes: number;
  /** From a head's K part to its V part: the bytes of K's, 0 if there are none. */
  readonly vOffsetBytes: number;
}

/** A layer's tiles in a page. */
export interface LayerLayout {
  readonly kBits: TileBits;
  readonly vBits: TileBits;
  readonly meta: TileParts;
  /** Most significant bits first; the first one holds the f16 elements of a side that is kept at 16 bits. */
  readonly planes: readonly [TileParts, TileParts];
}

/** Offsets of everything inside a page. docs/page-format.md is the prose of this. */
export interface PageLayout {
  readonly shape: KvShape;
  /** Tokens in the page. */
  readonly numTokens: number;
  readonly pageBytes: number;
  readonly layers: readonly LayerLayout[];
}

/** Layout of a sealed page. */
export function sealedPageLayout(format: KvFormat, shape: KvShape): PageLayout {
  const bits = Array.from({ length: shape.numLayers }, (_, layer): readonly [TileBits, TileBits] => [
    tileBits(format, 'k', layer),
    tileBits(format, 'v', layer),
  ]);
  return pageLayout(shape, format.pageSize, bits);
}

/** Layout of an open page or, with `numTokens` the number of sink tokens, of a sink page: everything in f16. */
export function f16PageLayout(numTokens: number, shape: KvShape): PageLayout {
  return pageLayout(
    shape,
    numTokens,
    Array.from({ length: shape.numLayers }, () => [16, 16]),
  );
}

/** Regions follow each other, each with all layers and heads, so that a page can be cut after a plane and still be read. */
function pageLayout(
  shape: KvShape,
  numTokens: number,
  layerBits: readonly (readonly [TileBits, TileBits])[],
): PageLayout {
  let endBytes = 0;
  const region = (bytesOf: (kind: TileKind, bits: TileBits) => number): TileParts[] =>
    layerBits.map(([kBits, vBits]) => {
      const vOffsetBytes = bytesOf('k', kBits);
      const parts = { offsetBytes: endBytes, strideBytes: vOffsetBytes + bytesOf('v', vBits), vOffsetBytes };
      endBytes += shape.numKvHeads * parts.strideBytes;
      return parts;
    });
  const { headDim } = shape;
  const meta = region((kind, bits) => (bits === 16 ? 0 : tileMetaBytes({ kind, numTokens, headDim })));
  const [first, second] = [0, 1].map((index) =>
    region((kind, bits) => planeBytes(kind, planeWidth(bits, index), numTokens, headDim)),
  );
  const layers = layerBits.map(([kBits, vBits], layer): LayerLayout => {
    return { kBits, vBits, meta: meta[layer], planes: [first[layer], second[layer]] };
  });
  return { shape, numTokens, pageBytes: roundUp(endBytes, PAGE_UNIT_BYTES), layers };
}

/** Bits of an element that lie in its first or second plane; 0 if it has no such plane. */
function planeWidth(bits: TileBits, index: number): 16 | PlaneBits | 0 {
  if (bits === 16) return index === 0 ? 16 : 0;
  return planesOf(bits)[index] ?? 0;
}

/** Where the tiles of some of a page's layers would lie, if it had no others. */
export function layoutOfLayers({ shape, numTokens, layers }: PageLayout, first: number, numLayers: number): PageLayout {
  const bits = layers.slice(first, first + numLayers).map(({ kBits, vBits }) => [kBits, vBits] as const);
  return pageLayout({ ...shape, numLayers: bits.length }, numTokens, bits);
}

/** Bytes of one plane of one tile. */
function planeBytes(kind: TileKind, width: 16 | PlaneBits | 0, numTokens: number, headDim: number): number {
  if (width === 0) return 0;
  if (width === 16) return numTokens * headDim * 2;
  return tilePlaneBytes({ kind, numTokens, headDim }, width);
}

/** Where the metadata of a tile starts in its page. */
export function metaOffsetBytes(layout: PageLayout, layer: number, head: number, kind: TileKind): number {
  return partOffsetBytes(layout.layers[layer].meta, head, kind);
}

/** Where a plane of a tile starts in its page. */
export function planeOffsetBytes(
  layout: PageLayout,
  plane: number,
  layer: number,
  head: number,
  kind: TileKind,
): number {
  return partOffsetBytes(layout.layers[layer].planes[plane], head, kind);
}

function partOffsetBytes({ offsetBytes, strideBytes, vOffsetBytes }: TileParts, head: number, kind: TileKind): number {
  return offsetBytes + head * strideBytes + (kind === 'v' ? vOffsetBytes : 0);
}

/** Bits of the elements of a layer's tiles of one kind. */
export function layoutBits(layout: PageLayout, layer: number, kind: TileKind): TileBits {
  const { kBits, vBits } = layout.layers[layer];
  return kind === 'k' ? kBits : vBits;
}

/** Elements of K and V that a token has in all layers. */
export function elementsPerToken(shape: KvShape): number {
  return 2 * shape.numLayers * shape.numKvHeads * shape.headDim;
}

/** Bits an element of a full sealed page, metadata counted. */
export function bitsPerElement(layout: PageLayout): number {
  return (8 * layout.pageBytes) / (layout.numTokens * elementsPerToken(layout.shape));
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
