import { dotMixed, firstMixed, mixed, sumLanes4, widenMixed } from './simd';

/**
 * Integer dot products of rows of codes with one vector. Codes are a byte each and lie in blocks of 8 rows, so that rows r and r + 4 are
 * always handled side by side (an engine can put both into 256 bits), and neighbours are added up across lanes at the end only:
 *
 *     codes of a block: for 16 columns at a time: for r in 0..3: 16 bytes of row r, 16 bytes of row r + 4
 */

/** Bytes of a row's 16 columns and those of its partner. */
export const PAIR_BYTES: usize = 32;

/** Codes of up to 6 bits, a vector of signed bytes. Columns are a multiple of 32, rows of 8. */
export function dotRows(bits: i32, codes: usize, numRows: i32, numCols: i32, vector: usize, sums: usize): void {
  if (bits == 6) dotRows6(codes, numRows, numCols, vector, sums);
  else timesVector(FOUR_STEPS, codes, numRows, numCols, vector, sums);
}

function dotRows6(codes: usize, numRows: i32, numCols: i32, vector: usize, sums: usize): void {
  timesVector(TWO_STEPS, codes, numRows, numCols, vector, sums);
}

/** Signed codes, a vector of bytes 0..127. */
export function dotSignedRows(codes: usize, numRows: i32, numCols: i32, vector: usize, sums: usize): void {
  timesVector(SIGNED, codes, numRows, numCols, vector, sums);
}

/** How products are added up: four steps fit 16 bits where codes have at most 5 bits, two where they have 6 (see simd.ts). */
const FOUR_STEPS = 0;
const TWO_STEPS = 1;
const SIGNED = 2;

/** Most heads have 64 channels and all pages 64 tokens: there the vector stays in registers. */
// @ts-ignore: decorator
@inline
function timesVector(kind: i32, codes: usize, numRows: i32, numCols: i32, vector: usize, sums: usize): void {
  if (numCols != 64) {
    timesLongVector(kind, codes, numRows, numCols, vector, sums);
    return;
  }
  const v0 = v128.load(vector), v1 = v128.load(vector, 16), v2 = v128.load(vector, 32), v3 = v128.load(vector, 48);
  const end = codes + <usize>(numRows << 6);
  let sum = sums;
  for (let block = codes; block < end; block += 512) {
    const p = block + PAIR_BYTES, q = block + 2 * PAIR_BYTES, r = block + 3 * PAIR_BYTES;
    const l0 = dot64(kind, block, 0, v0, v1, v2, v3), m0 = dot64(kind, block, 1, v0, v1, v2, v3);
    const l1 = dot64(kind, p, 0, v0, v1, v2, v3), m1 = dot64(kind, p, 1, v0, v1, v2, v3);
    const l2 = dot64(kind, q, 0, v0, v1, v2, v3), m2 = dot64(kind, q, 1, v0, v1, v2, v3);
    const l3 = dot64(kind, r, 0, v0, v1, v2, v3), m3 = dot64(kind, r, 1, v0, v1, v2, v3);
    v128.store(sum, sumLanes4(m0, m1, m2, m3), 16);
    v128.store(sum, sumLanes4(l0, l1, l2, l3));
    sum += 32;
  }
}

// @ts-ignore: decorator
@inline
function timesLongVector(kind: i32, codes: usize, numRows: i32, numCols: i32, vector: usize, sums: usize): void {
  const blockBytes = <usize>(numCols << 3);
  const end = codes + <usize>numRows * <usize>numCols;
  let sum = sums;
  for (let block = codes; block < end; block += blockBytes) {
    let l0 = i32x4.splat(0), l1 = l0, l2 = l0, l3 = l0, m0 = l0, m1 = l0, m2 = l0, m3 = l0;
    let u = vector;
    const blockEnd = block + blockBytes;
    for (let p = block; p < blockEnd; p += 256) {
      const v0 = v128.load(u), v1 = v128.load(u, 16);
      const q = p + PAIR_BYTES, r = p + 2 * PAIR_BYTES, s = p + 3 * PAIR_BYTES;
      l0 = i32x4.add(l0, dot32(kind, p, 0, v0, v1));
      m0 = i32x4.add(m0, dot32(kind, p, 1, v0, v1));
      l1 = i32x4.add(l1, dot32(kind, q, 0, v0, v1));
      m1 = i32x4.add(m1, dot32(kind, q, 1, v0, v1));
      l2 = i32x4.add(l2, dot32(kind, r, 0, v0, v1));
      m2 = i32x4.add(m2, dot32(kind, r, 1, v0, v1));
      l3 = i32x4.add(l3, dot32(kind, s, 0, v0, v1));
      m3 = i32x4.add(m3, dot32(kind, s, 1, v0, v1));
      u += 32;
    }
    v128.store(sum, sumLanes4(m0, m1, m2, m3), 16);
    v128.store(sum, sumLanes4(l0, l1, l2, l3));
    sum += 32;
  }
}

/** 64 columns of a row (side 0) or its partner (side 1). Offsets are constants: that is how an engine sees neighbours. */
// @ts-ignore: decorator
@inline
function dot64(kind: i32, row: usize, side: i32, v0: v128, v1: v128, v2: v128, v3: v128): v128 {
  const r0 = side ? v128.load(row, 16) : v128.load(row);
  const r1 = side ? v128.load(row, 144) : v128.load(row, 128);
  const r2 = side ? v128.load(row, 272) : v128.load(row, 256);
  const r3 = side ? v128.load(row, 400) : v128.load(row, 384);
  if (kind == SIGNED) return dotMixed(r3, v3, dotMixed(r2, v2, dotMixed(r1, v1, widenMixed(firstMixed(r0, v0)))));
  const two = mixed(v1, r1, firstMixed(v0, r0));
  if (kind == TWO_STEPS) return i32x4.add(widenMixed(two), widenMixed(mixed(v3, r3, firstMixed(v2, r2))));
  return widenMixed(mixed(v3, r3, mixed(v2, r2, two)));
}

// @ts-ignore: decorator
@inline
function dot32(kind: i32, row: usize, side: i32, v0: v128, v1: v128): v128 {
  const r0 = side ? v128.load(row, 16) : v128.load(row);
  const r1 = side ? v128.load(row, 144) : v128.load(row, 128);
  return kind == SIGNED ? dotMixed(r1, v1, widenMixed(firstMixed(r0, v0))) : widenMixed(mixed(v1, r1, firstMixed(v0, r0)));
}
