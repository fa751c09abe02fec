/** Bits of a code that one plane holds: powers of two, so that no field straddles a byte. */
export type PlaneBits = 4 | 2 | 1;
/** Bits of a code. */
export type CodeBits = 8 | 6 | 5 | 4 | 3 | 2 | 1;

export const CODE_BITS: readonly CodeBits[] = [8, 6, 5, 4, 3, 2, 1];

/** How codes are cut into planes, the most significant bits first, so that a code's high part can be read without the rest. */
const PLANES: Readonly<Record<CodeBits, readonly PlaneBits[]>> = {
  8: [4, 4],
  6: [4, 2],
  5: [4, 1],
  4: [4],
  3: [2, 1],
  2: [2],
  1: [1],
};

/** Rows are padded with zero codes to a multiple of this. */
export const ROW_MULTIPLE = 32;
/** Codes whose bits share bytes: as many as fill 16 bytes, but at most 64. */
const GROUP_CODES: Readonly<Record<PlaneBits, number>> = { 4: 32, 2: 64, 1: 64 };

/** Widths of the planes of a code. */
export function planesOf(bits: CodeBits): readonly PlaneBits[] {
  return PLANES[bits];
}

/** Columns of a row with its padding. */
export function paddedCols(numCols: number): number {
  return Math.ceil(numCols / ROW_MULTIPLE) * ROW_MULTIPLE;
}

/** Bytes of one row of a plane. */
export function planeRowBytes(planeBits: PlaneBits, numCols: number): number {
  return (paddedCols(numCols) * planeBits) / 8;
}

/**
 * Packs codes into planes, as docs/page-format.md lays them out: rows padded to a multiple of 32 codes; in a row, groups of 32 codes (4-bit
 * planes) or 64 (2 and 1 bits; the last one 32 where no more are left); byte i of a group of n bytes has code i + n * j at bit j * planeBits.
 *
 * @param codes [numRows, numCols], row-major, each below 2^bits
 * @returns a plane of numRows * planeRowBytes bytes for each of `planesOf(bits)`; padding is zeros
 * @throws RangeError if the length is not that of the shape, or a code does not fit
 */
export function packPlanes(codes: Uint8Array, bits: CodeBits, numRows: number, numCols: number): Uint8Array[] {
  checkLength('codes', codes.length, numRows * numCols);
  const tooLarge = codes.findIndex((code) => code >= 2 ** bits);
  if (tooLarge >= 0) {
    const [row, col] = [Math.floor(tooLarge / numCols), tooLarge % numCols];
    throw new RangeError(`code ${codes[tooLarge]} at row ${row}, column ${col} does not fit ${bits} bits`);
  }
  let shift = bits as number;
  return planesOf(bits).map((planeBits) => {
    shift -= planeBits;
    return packPlane(codes, shift, planeBits, numRows, numCols);
  });
}

/**
 * The codes that planes hold, [numRows, numCols], row-major.
 *
 * @throws RangeError if there are not as many planes as the width has, or a length is not that of the shape
 */
export function unpackPlanes(
  planes: readonly Uint8Array[],
  bits: CodeBits,
  numRows: number,
  numCols: number,
): Uint8Array {
  const widths = planesOf(bits);
  if (planes.length !== widths.length) throw new RangeError(`${planes.length} planes for ${bits} bits`);
  const codes = new Uint8Array(numRows * numCols);
  widths.forEach((planeBits, index) => {
    const plane = planes[index];
    checkLength('plane', plane.length, numRows * planeRowBytes(planeBits, numCols));
    forEachField(planeBits, numRows, numCols, (code, byte, bit) => {
      codes[code] = (codes[code] << planeBits) | ((plane[byte] >> bit) & (2 ** planeBits - 1));
    });
  });
  return codes;
}

function packPlane(
  codes: Uint8Array,
  shift: number,
  planeBits: PlaneBits,
  numRows: number,
  numCols: number,
): Uint8Array {
  const plane = new Uint8Array(numRows * planeRowBytes(planeBits, numCols));
  forEachField(planeBits, numRows, numCols, (code, byte, bit) => {
    plane[byte] |= ((codes[code] >> shift) & (2 ** planeBits - 1)) << bit;
  });
  return plane;
}

/** Where each code's field lies: calls with the code's index, the byte of the plane and the lowest bit in it. */
function forEachField(
  planeBits: PlaneBits,
  numRows: number,
  numCols: number,
  visit: (code: number, byte: number, bit: number) => void,
): void {
  const rowBytes = planeRowBytes(planeBits, numCols);
  const groupCodes = GROUP_CODES[planeBits];
  for (let col = 0; col < numCols; col++) {
    const groupStart = col - (col % groupCodes);
    const groupBytes = (Math.min(groupCodes, paddedCols(numCols) - groupStart) * planeBits) / 8;
    const byte = (groupStart * planeBits) / 8 + ((col - groupStart) % groupBytes);
    const bit = Math.floor((col - groupStart) / groupBytes) * planeBits;
    for (let row = 0; row < numRows; row++) visit(row * numCols + col, row * rowBytes + byte, bit);
  }
}

function checkLength(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new RangeError(`${what}: ${actual} bytes, not ${expected}`);
}
