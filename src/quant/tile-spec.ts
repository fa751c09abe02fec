import { nibbleRowBytes } from './nibbles.ts';

/** What a quantized tile is: one head's keys or values of the tokens of a page. */
export interface TileSpec {
  readonly kind: 'k' | 'v';
  readonly bits: 8 | 4;
  /** Tokens in the page; a multiple of 32. */
  readonly numTokens: number;
  readonly headDim: number;
}

/** Header of K metadata: aLo, aStep, sLo, sStep, zLo, zStep as float32, then 8 bytes of zeros. */
export const K_HEADER_BYTES = 32;
/** Header of V metadata: sLo, sStep, zLo, zStep as float32. */
export const V_HEADER_BYTES = 16;

/** Bytes of a tile's metadata, padded to a multiple of 16. */
export function tileMetaBytes({ kind, numTokens, headDim }: TileSpec): number {
  const bytes = kind === 'k' ? K_HEADER_BYTES + numTokens + 2 * headDim : V_HEADER_BYTES + 2 * numTokens;
  return Math.ceil(bytes / 16) * 16;
}

/** Rows and columns of a tile's planes: K's codes lie token-major, V's channel-major. */
export function planeShape({ kind, numTokens, headDim }: TileSpec): { numRows: number; numCols: number } {
  return kind === 'k' ? { numRows: numTokens, numCols: headDim } : { numRows: headDim, numCols: numTokens };
}

/** Bytes of one of a tile's planes. */
export function tilePlaneBytes(spec: TileSpec): number {
  const { numRows, numCols } = planeShape(spec);
  return numRows * nibbleRowBytes(numCols);
}

/** Planes of a tile: four bits of every code each. */
export function numTilePlanes(bits: TileSpec['bits']): number {
  return bits / 4;
}

/** @throws RangeError if no tile can be like that */
export function checkTileSpec({ kind, bits, numTokens, headDim }: TileSpec): void {
  if (!Number.isInteger(numTokens) || numTokens < 32 || numTokens % 32 !== 0) {
    throw new RangeError(`a ${kind} tile has a multiple of 32 tokens, not ${numTokens}`);
  }
  if (!Number.isInteger(headDim) || headDim < 1) throw new RangeError(`a ${kind} tile has no ${headDim} channels`);
  if (bits !== 8 && bits !== 4) throw new RangeError(`a ${kind} tile has codes of 4 or 8 bits, not ${String(bits)}`);
}
