import type { KvFormat, TileBits } from '../quant/kv-format.ts';

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

/** Header of K metadata: aLo, aStep, sLo, sStep, zLo, zStep as float32, then 8 bytes of zeros. */
export const K_META_HEADER_BYTES = 32;
/** Header of V metadata: sLo, sStep, zLo, zStep as float32. */
export const V_META_HEADER_BYTES = 16;

/** K rows of codes are padded with zeros to whole groups of 32 channels. */
export function paddedHeadDim(headDim: number): number {
  return roundUp(headDim, 32);
}

/** Bytes of a K tile's metadata: header, `numTokens` token factors, `headDim` scales, `headDim` zero points. */
export function kMetaBytes(numTokens: number, headDim: number): number {
  return roundUp(K_META_HEADER_BYTES + numTokens + 2 * headDim, 16);
}

/** Bytes of a V tile's metadata: header, `numTokens` scales, `numTokens` zero points. */
export function vMetaBytes(numTokens: number): number {
  return roundUp(V_META_HEADER_BYTES + 2 * numTokens, 16);
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
  const kMeta = kBits === 16 ? 0 : kMetaBytes(numTokens, headDim);
  const vMeta = vBits === 16 ? 0 : vMetaBytes(numTokens);
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
  return bits === 8 ? 2 : 1;
}

/** Bytes of one plane of one tile. */
function planeBytes(kind: TileKind, bits: TileBits, numTokens: number, headDim: number): number {
  if (bits === 16) return numTokens * headDim * 2;
  return kind === 'k' ? numTokens * (paddedHeadDim(headDim) / 2) : headDim * (numTokens / 2);
}

/** Where the metadata of a tile starts in its page. */
export function metaOffsetBytes(layout: PageLayout, layer: number, head: number, kind: TileKind): number {
  const tile = layer * layout.shape.numKvHeads + head;
  return tile * layout.meta.strideBytes + (kind === 'v' ? layout.meta.vOffsetBytes : 0);
}

/** Where a plane of a tile starts in its page. */
export function planeOffsetBytes(layout: PageLayout, plane: number, layer: number, head: number, kind: TileKind): number {
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
