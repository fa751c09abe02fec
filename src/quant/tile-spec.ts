import { CODE_BITS, planeRowBytes, planesOf } from './bit-planes.ts';
import type { CodeBits, PlaneBits } from './bit-planes.ts';

/** What a quantized tile is: one head's keys or values of the tokens of a page. */
export interface TileSpec {
  readonly kind: 'k' | 'v';
  readonly bits: CodeBits;
  /** Tokens in the page; a multiple of 32. */
  readonly numTokens: number;
  readonly headDim: number;
}

/** Header of K metadata: aLo, aStep, sLo, sStep, zLo, zStep as float32, then 8 bytes of zeros. */
export const K_HEADER_BYTES = 32;
/** Header of V metadata: sLo, sStep, zLo, zStep as float32. */
export const V_HEADER_BYTES = 16;

/** Bytes of a tile's metadata, padded to a multiple of 16. */
export function tileMetaBytes({ kind, numTokens, headDim }: Omit<TileSpec, 'bits'>): number {
  const bytes = kind === 'k' ? K_HEADER_BYTES + numTokens + 2 * headDim : V_HEADER_BYTES + 2 * numTokens;
  return Math.ceil(bytes / 16) * 16;
}

/** Rows and columns of a tile's planes: K's codes lie token-major, V's channel-major. */
export function planeShape({ kind, numTokens, headDim }: Omit<TileSpec, 'bits'>): { numRows: number; numCols: number } {
  return kind === 'k' ? { numRows: numTokens, numCols: headDim } : { numRows: headDim, numCols: numTokens };
}

/** Bytes of a tile's plane of some width. */
export function tilePlaneBytes(spec: Omit<TileSpec, 'bits'>, planeBits: PlaneBits): number {
  const { numRows, numCols } = planeShape(spec);
  return numRows * planeRowBytes(planeBits, numCols);
}

/** Bytes of all planes of a tile, the most significant bits first. */
export function tilePlanesBytes(spec: TileSpec): readonly number[] {
  return planesOf(spec.bits).map((planeBits) => tilePlaneBytes(spec, planeBits));
}

/** @throws RangeError if no tile can be like that */
export function checkTileSpec({ kind, bits, numTokens, headDim }: TileSpec): void {
  if (!Number.isInteger(numTokens) || numTokens < 32 || numTokens % 32 !== 0) {
    throw new RangeError(`a ${kind} tile has a multiple of 32 tokens, not ${numTokens}`);
  }
  if (!Number.isInteger(headDim) || headDim < 1) throw new RangeError(`a ${kind} tile has no ${headDim} channels`);
  if (!CODE_BITS.includes(bits))
    throw new RangeError(`a ${kind} tile has codes of ${CODE_BITS.join(', ')} bits, not ${bits}`);
}
