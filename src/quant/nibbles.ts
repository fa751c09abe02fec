/**
 * Elements whose codes share 16 bytes of a plane: byte i has element i in its low nibble and element 16 + i in its high
 * one.
 */
export const NIBBLE_GROUP = 32;
const GROUP_BYTES = NIBBLE_GROUP / 2;

/** Bytes of one row of a 4-bit plane: rows are padded to whole groups. */
export function nibbleRowBytes(numCols: number): number {
  return Math.ceil(numCols / NIBBLE_GROUP) * GROUP_BYTES;
}

/**
 * Packs 4-bit codes into the rows of a plane, as docs/page-format.md lays them out.
 *
 * @param codes [numRows, numCols], row-major, each 0..15
 * @returns numRows * nibbleRowBytes(numCols) bytes; padding is zeros
 * @throws RangeError if the length is not that of the shape, or a code does not fit
 */
export function packNibbles(codes: Uint8Array, numRows: number, numCols: number): Uint8Array {
  checkLength('codes', codes.length, numRows * numCols);
  const rowBytes = nibbleRowBytes(numCols);
  const plane = new Uint8Array(numRows * rowBytes);
  for (let row = 0; row < numRows; row++) {
    for (let col = 0; col < numCols; col++) {
      const code = codes[row * numCols + col];
      if (code > 15) throw new RangeError(`code ${code} at row ${row}, column ${col} does not fit 4 bits`);
      plane[row * rowBytes + byteOfColumn(col)] |= code << shiftOfColumn(col);
    }
  }
  return plane;
}

/**
 * The codes of a plane, [numRows, numCols], row-major. @throws RangeError if the plane's length is not that of the
 * shape
 */
export function unpackNibbles(plane: Uint8Array, numRows: number, numCols: number): Uint8Array {
  const rowBytes = nibbleRowBytes(numCols);
  checkLength('plane', plane.length, numRows * rowBytes);
  const codes = new Uint8Array(numRows * numCols);
  for (let row = 0; row < numRows; row++) {
    for (let col = 0; col < numCols; col++) {
      codes[row * numCols + col] = (plane[row * rowBytes + byteOfColumn(col)] >> shiftOfColumn(col)) & 15;
    }
  }
  return codes;
}

function byteOfColumn(col: number): number {
  return Math.floor(col / NIBBLE_GROUP) * GROUP_BYTES + (col % GROUP_BYTES);
}

function shiftOfColumn(col: number): number {
  return col % NIBBLE_GROUP < GROUP_BYTES ? 0 : 4;
}

function checkLength(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new RangeError(`${what}: ${actual} bytes, not ${expected}`);
}
