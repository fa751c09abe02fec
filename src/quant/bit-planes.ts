/** Widths of a code, in bits. */
export type CodeBits = 8 | 6 | 5 | 4 | 3 | 2 | 1;

/** Widths of the planes that codes are split into, in bits. */
export type PlaneBits = 4 | 2 | 1;

/** Elements whose codes share 4 * b bytes of a plane of b bits; rows are padded to whole groups. */
export const PLANE_GROUP = 32;

/** All widths that codes may have, widest first. */
export const CODE_BITS: readonly CodeBits[] = [8, 6, 5, 4, 3, 2, 1];

const PLANES: Readonly<Record<CodeBits, readonly PlaneBits[]>> = {
  8: [4, 4],
  6: [4, 2],
  5: [4, 1],
  4: [4],
  3: [2, 1],
  2: [2],
  1: [1],
};

/** Widths of the planes of codes of `bits` bits, most significant plane first; they add up to `bits`. */
export function planesOfBits(bits: CodeBits): readonly PlaneBits[] {
  if (!Object.hasOwn(PLANES, bits)) throw new RangeError(`codes have ${CODE_BITS.join(', ')} bits, not ${bits}`);
  return PLANES[bits];
}

/** Bytes of one row of a plane; rows are padded to whole groups of 32 elements. */
export function planeRowBytes(planeBits: PlaneBits, numCols: number): number {
  return Math.ceil(numCols / PLANE_GROUP) * 4 * planeBits;
}

/**
 * Splits codes into planes of 4, 2 and 1 bits, most significant plane first: 3 = 2 + 1, 5 = 4 + 1, 6 = 4 + 2, 8 = 4 +
 * 4. In a plane of b bits, 32 consecutive elements of a row take 4 * b bytes: byte i holds elements i + 4 * b * j at
 * bits b * j and up, for j from 0 to 8 / b - 1.
 *
 * @param codes [numRows, numCols], row-major, each below 2^bits
 * @returns for each of `planesOfBits(bits)`, numRows * planeRowBytes(its bits, numCols) bytes; padding is zeros
 * @throws RangeError if codes cannot have that many bits, the length is not that of the shape, or a code does not fit
 */
export function packPlanes(codes: Uint8Array, bits: CodeBits, numRows: number, numCols: number): Uint8Array[] {
  const widths = planesOfBits(bits);
  checkLength('codes', codes.length, numRows * numCols);
  const tooLarge = codes.findIndex((code) => code >> bits !== 0);
  if (tooLarge >= 0) {
    const [row, col] = [Math.floor(tooLarge / numCols), tooLarge % numCols];
    throw new RangeError(`code ${codes[tooLarge]} at row ${row}, column ${col} does not fit ${bits} bits`);
  }
  let lowestBit: number = bits;
  return widths.map((planeBits) => {
    lowestBit -= planeBits;
    return packPlane(codes, { planeBits, lowestBit, numRows, numCols });
  });
}

/**
 * The codes whose planes `packPlanes` made: [numRows, numCols], row-major. Padding is not looked at.
 *
 * @throws RangeError if codes cannot have that many bits, or the number or the length of planes is not theirs
 */
export function unpackPlanes(
  planes: readonly Uint8Array[],
  bits: CodeBits,
  numRows: number,
  numCols: number,
): Uint8Array {
  const widths = planesOfBits(bits);
  if (planes.length !== widths.length) throw new RangeError(`${planes.length} planes for ${bits} bits`);
  const codes = new Uint8Array(numRows * numCols);
  let lowestBit: number = bits;
  widths.forEach((planeBits, index) => {
    checkLength(`plane ${index}`, planes[index].length, numRows * planeRowBytes(planeBits, numCols));
    lowestBit -= planeBits;
    addPlane(codes, planes[index], { planeBits, lowestBit, numRows, numCols });
  });
  return codes;
}

interface PlaneLayout {
  readonly planeBits: PlaneBits;
  /** Bit of a code that is the plane's lowest. */
  readonly lowestBit: number;
  readonly numRows: number;
  readonly numCols: number;
}

function packPlane(codes: Uint8Array, { planeBits, lowestBit, numRows, numCols }: PlaneLayout): Uint8Array {
  const rowBytes = planeRowBytes(planeBits, numCols);
  const plane = new Uint8Array(numRows * rowBytes);
  const mask = (1 << planeBits) - 1;
  for (let row = 0; row < numRows; row++) {
    for (let col = 0; col < numCols; col++) {
      const field = (codes[row * numCols + col] >> lowestBit) & mask;
      plane[row * rowBytes + byteOfColumn(planeBits, col)] |= field << shiftOfColumn(planeBits, col);
    }
  }
  return plane;
}

function addPlane(codes: Uint8Array, plane: Uint8Array, layout: PlaneLayout): void {
  const { planeBits, lowestBit, numRows, numCols } = layout;
  const rowBytes = planeRowBytes(planeBits, numCols);
  const mask = (1 << planeBits) - 1;
  for (let row = 0; row < numRows; row++) {
    for (let col = 0; col < numCols; col++) {
      const byte = plane[row * rowBytes + byteOfColumn(planeBits, col)];
      codes[row * numCols + col] |= ((byte >> shiftOfColumn(planeBits, col)) & mask) << lowestBit;
    }
  }
}

function byteOfColumn(planeBits: PlaneBits, col: number): number {
  const groupBytes = 4 * planeBits;
  return Math.floor(col / PLANE_GROUP) * groupBytes + (col % groupBytes);
}

function shiftOfColumn(planeBits: PlaneBits, col: number): number {
  return planeBits * Math.floor((col % PLANE_GROUP) / (4 * planeBits));
}

function checkLength(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new RangeError(`${what}: ${actual} bytes, not ${expected}`);
}
