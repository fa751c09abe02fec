import type { KvFormat, TileBits } from '../quant/kv-format.ts';
import { numTilePlanes, tileMetaBytes, tilePlaneBytes } from '../quant/tile-spec.ts';

/** What a model keeps of each token: numLayers x numKvHeads heads of headDim channels, in K and in V. */
export interface KvShape {
  readonly numLayers: number;
  readonly numKvHeads: number;
  readonly headDim: number;
}

export type TileKind = 'k' | 'v';

/** One plane of codes of every tile, contiguous in the page, so that a low plane can be dropped or sent later. */
export interface PlaneLayout {
  /** Bits of a code that lie in this plane: 16 (the f16 element itself) or 4. */
  readonly bits: 16 | 4;
  readonly offsetBytes: number;
  /** From one (layer, head) to the next. */
  readonly strideBytes: number;
  /** Where V's codes start after the start of a (layer, head); K's start at 0. */
  readonly vOffsetBytes: number;
  readonly hasK: boolean;
  readonly hasV: boolean;
}

/** Offsets of everything inside a page. docs/page-format.md is the prose of this. */
export interface PageLayout {
  readonly shape: KvShape;
  readonly kBits: TileBits;
  readonly vBits: TileBits;
  /** Tokens in the page. */
  readonly numTokens: number;
  readonly pageBytes: number;
  readonly meta: { readonly strideBytes: number; readonly vOffsetBytes: number };
  /** Most significant first. */
  readonly planes: readonly PlaneLayout[];
}

/** Layout of a sealed page. */
export function sealedPageLayout(format: KvFormat, shape: KvShape): PageLayout {
  return pageLayout(shape, format.pageSize, format.k.bits, format.v.bits);
}

/** Layout of an open page or, with `numTokens` the number of sink tokens, of a sink page: everything in f16. */
export function f16PageLayout(numTokens: number, shape: KvShape): PageLayout {
  return pageLayout(shape, numTokens, 16, 16);
}

function pageLayout(shape: KvShape, numTokens: number, kBits: TileBits, vBits: TileBits): PageLayout {
  const { headDim } = shape;
  const numTiles = shape.numLayers * shape.numKvHeads;
  const kMeta = kBits === 16 ? 0 : tileMetaBytes({ kind: 'k', bits: kBits, numTokens, headDim });
  const vMeta = vBits === 16 ? 0 : tileMetaBytes({ kind: 'v', bits: vBits, numTokens, headDim });
  const meta = { strideBytes: kMeta + vMeta, vOffsetBytes: kMeta };
  const planes: PlaneLayout[] = [];
  let offsetBytes = numTiles * meta.strideBytes;
  const numPlanes = Math.max(numPlanesOf(kBits), numPlanesOf(vBits));
  for (let plane = 0; plane < numPlanes; plane++) {
    const kBytes = plane < numPlanesOf(kBits) ? planeBytes('k', kBits, numTokens, headDim) : 0;
    const vBytes = plane < numPlanesOf(vBits) ? planeBytes('v', vBits, numTokens, headDim) : 0;
    const bits = Math.max(kBytes && kBits, vBytes && vBits) === 16 ? 16 : 4;
    planes.push({
      bits,
      offsetBytes,
      strideBytes: kBytes + vBytes,
      vOffsetBytes: kBytes,
      hasK: kBytes > 0,
      hasV: vBytes > 0,
    });
    offsetBytes += numTiles * (kBytes + vBytes);
  }
  return { shape, kBits, vBits, numTokens, pageBytes: roundUp(offsetBytes, 64), meta, planes };
}

function numPlanesOf(bits: TileBits): number {
  return bits === 16 ? 1 : numTilePlanes(bits);
}

/** Bytes of one plane of one tile. */
function planeBytes(kind: TileKind, bits: TileBits, numTokens: number, headDim: number): number {
  if (bits === 16) return numTokens * headDim * 2;
  return tilePlaneBytes({ kind, bits, numTokens, headDim });
}

/** Where the metadata of a tile starts in its page. */
export function metaOffsetBytes(layout: PageLayout, layer: number, head: number, kind: TileKind): number {
  const tile = layer * layout.shape.numKvHeads + head;
  return tile * layout.meta.strideBytes + (kind === 'v' ? layout.meta.vOffsetBytes : 0);
}

/** Where a plane of a tile starts in its page. */
export function planeOffsetBytes(
  layout: PageLayout,
  plane: number,
  layer: number,
  head: number,
  kind: TileKind,
): number {
  const { offsetBytes, strideBytes, vOffsetBytes } = layout.planes[plane];
  const tile = layer * layout.shape.numKvHeads + head;
  return offsetBytes + tile * strideBytes + (kind === 'v' ? vOffsetBytes : 0);
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
