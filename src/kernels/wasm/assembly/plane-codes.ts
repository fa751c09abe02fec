import {
  BIT_PAIRS,
  BIT_QUADS,
  BYTE_SIGNS,
  BYTES_01,
  BYTES_03,
  BYTES_06,
  BYTES_1E,
  BYTES_3C,
  constant,
  HIGH_NIBBLES,
  LOW_NIBBLES,
} from './constants';
import { PAIR_BYTES } from './row-dots';

/**
 * Planes to codes, a byte each, in the blocks of 8 rows that row-dots.ts wants: as they are, but 8 bits less 128, as signed bytes. How planes lie: docs/page-format.md and quant/bit-planes.ts.
 */

/** Codes up to 127 can be the operand of 7 bits that integer products have. 8 bits are signed bytes, multiplied with vectors of 14 bits. */
// @ts-ignore: decorator
@inline
export function isWide(bits: i32): bool {
  return bits == 8;
}

/** Width of the plane of the most significant bits. */
// @ts-ignore: decorator
@inline
export function plane0Width(bits: i32): i32 {
  return bits >= 4 ? 4 : bits >= 2 ? 2 : 1;
}

/** Width of the other plane; 0 if there is none. */
// @ts-ignore: decorator
@inline
export function plane1Width(bits: i32): i32 {
  return bits - plane0Width(bits);
}

/**
 * Unpacks a tile's planes.
 *
 * @param rowCodes a multiple of 32; rows are a multiple of 8
 */
export function unpackTile(bits: i32, plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  if (bits == 4) unpack4(plane0, plane1, numRows, rowCodes, out);
  else if (bits == 8) unpack8(plane0, plane1, numRows, rowCodes, out);
  else if (bits == 6) unpack6(plane0, plane1, numRows, rowCodes, out);
  else if (bits == 5) unpack5(plane0, plane1, numRows, rowCodes, out);
  else if (bits == 3) unpack3(plane0, plane1, numRows, rowCodes, out);
  else if (bits == 2) unpack2(plane0, plane1, numRows, rowCodes, out);
  else unpack1(plane0, plane1, numRows, rowCodes, out);
}

// A function for each width, so that what differs is decided when this is compiled.
function unpack8(plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  unpackRows(8, plane0, plane1, numRows, rowCodes, out);
}
function unpack6(plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  unpackRows(6, plane0, plane1, numRows, rowCodes, out);
}
function unpack5(plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  unpackRows(5, plane0, plane1, numRows, rowCodes, out);
}
function unpack4(plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  unpackRows(4, plane0, plane1, numRows, rowCodes, out);
}
function unpack3(plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  unpackRows(3, plane0, plane1, numRows, rowCodes, out);
}
function unpack2(plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  unpackRows(2, plane0, plane1, numRows, rowCodes, out);
}
function unpack1(plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  unpackRows(1, plane0, plane1, numRows, rowCodes, out);
}

// @ts-ignore: decorator
@inline
function unpackRows(bits: i32, plane0: usize, plane1: usize, numRows: i32, rowCodes: i32, out: usize): void {
  if (rowCodes == 64) {
    // Most heads have 64 channels and all pages 64 tokens: distances are constants there, which is how an engine sees neighbours.
    for (let row = 0; row < numRows; row += 8) {
      for (let pair = 0; pair < 4; pair++) unpack64Pair(bits, plane0, plane1, pair, out);
      plane0 += rowBytes(plane0Width(bits), 64) << 3;
      plane1 += rowBytes(plane1Width(bits), 64) << 3;
      out += 512;
    }
    return;
  }
  const stride0 = rowBytes(plane0Width(bits), rowCodes);
  const stride1 = rowBytes(plane1Width(bits), rowCodes);
  for (let row = 0; row < numRows; row += 8) {
    for (let pair = 0; pair < 4; pair++) {
      unpackPair(bits, plane0, plane1, stride0 << 2, stride1 << 2, rowCodes, out + <usize>pair * PAIR_BYTES);
      plane0 += stride0;
      plane1 += stride1;
    }
    plane0 += stride0 << 2;
    plane1 += stride1 << 2;
    out += <usize>rowCodes << 3;
  }
}

// @ts-ignore: decorator
@inline
function rowBytes(width: i32, rowCodes: i32): usize {
  return <usize>((rowCodes * width) >> 3);
}

// @ts-ignore: decorator
@inline
function unpack64Pair(bits: i32, plane0: usize, plane1: usize, pair: i32, out: usize): void {
  const a0 = plane0 + <usize>pair * rowBytes(plane0Width(bits), 64);
  const a1 = plane1 + <usize>pair * rowBytes(plane1Width(bits), 64);
  const into = out + <usize>pair * PAIR_BYTES;
  unpack64(bits, a0, a1, rowBytes(plane0Width(bits), 256), rowBytes(plane1Width(bits), 256), into);
}

/** A row and its partner, `apart` further on. */
// @ts-ignore: decorator
@inline
function unpackPair(
  bits: i32,
  plane0: usize,
  plane1: usize,
  apart0: usize,
  apart1: usize,
  rowCodes: i32,
  into: usize,
): void {
  let col = 0;
  for (; col + 64 <= rowCodes; col += 64) {
    unpack64(bits, plane0, plane1, apart0, apart1, into);
    plane0 += rowBytes(plane0Width(bits), 64);
    plane1 += rowBytes(plane1Width(bits), 64);
    into += 16 * PAIR_BYTES;
  }
  if (col < rowCodes) unpack32(bits, plane0, plane1, apart0, apart1, into);
}

/** 64 codes of a row and of its partner. */
// @ts-ignore: decorator
@inline
function unpack64(bits: i32, a0: usize, a1: usize, apart0: usize, apart1: usize, into: usize): void {
  const b0 = a0 + apart0, b1 = a1 + apart1;
  const x0 = load64(plane0Width(bits), a0, 0), y0 = load64(plane0Width(bits), b0, 0);
  const x1 = load64(plane0Width(bits), a0, 1), y1 = load64(plane0Width(bits), b0, 1);
  const u0 = load64(plane1Width(bits), a1, 0), v0 = load64(plane1Width(bits), b1, 0);
  const u1 = load64(plane1Width(bits), a1, 1), v1 = load64(plane1Width(bits), b1, 1);
  v128.store(into, codes64(bits, 0, y0, y1, v0, v1), 16);
  v128.store(into, codes64(bits, 0, x0, x1, u0, u1));
  v128.store(into, codes64(bits, 1, y0, y1, v0, v1), 144);
  v128.store(into, codes64(bits, 1, x0, x1, u0, u1), 128);
  v128.store(into, codes64(bits, 2, y0, y1, v0, v1), 272);
  v128.store(into, codes64(bits, 2, x0, x1, u0, u1), 256);
  v128.store(into, codes64(bits, 3, y0, y1, v0, v1), 400);
  v128.store(into, codes64(bits, 3, x0, x1, u0, u1), 384);
}

/** The plane's bytes of 64 codes; only a plane of 4 bits has a second half. */
// @ts-ignore: decorator
@inline
function load64(width: i32, address: usize, half: i32): v128 {
  if (width == 4) return half ? v128.load(address, 16) : v128.load(address);
  if (width == 2 && half == 0) return v128.load(address);
  if (width == 1 && half == 0) return v128.load64_splat(address);
  return i32x4.splat(0);
}

/** Codes 16q to 16q + 15 of 64. */
// @ts-ignore: decorator
@inline
function codes64(bits: i32, q: i32, x0: v128, x1: v128, u0: v128, u1: v128): v128 {
  const shift = plane1Width(bits);
  return centred(bits, v128.or(field64(plane0Width(bits), shift, q, x0, x1), field64(shift, 0, q, u0, u1)));
}

// @ts-ignore: decorator
@inline
function field64(width: i32, shift: i32, q: i32, x0: v128, x1: v128): v128 {
  if (width == 4) return field(4, shift, (q & 1) << 2, q < 2 ? x0 : x1);
  if (width == 2) return field(2, shift, q << 1, x0);
  if (width == 1) return i8x16.min_u(v128.and(x0, constant(BIT_PAIRS + q)), constant(BYTES_01));
  return i32x4.splat(0);
}

/** 32 codes of a row and of its partner: the end of a row whose codes are no multiple of 64. */
// @ts-ignore: decorator
@inline
function unpack32(bits: i32, a0: usize, a1: usize, apart0: usize, apart1: usize, into: usize): void {
  const x = load32(plane0Width(bits), a0), y = load32(plane0Width(bits), a0 + apart0);
  const u = load32(plane1Width(bits), a1), v = load32(plane1Width(bits), a1 + apart1);
  v128.store(into, codes32(bits, 0, y, v), 16);
  v128.store(into, codes32(bits, 0, x, u));
  v128.store(into, codes32(bits, 1, y, v), 144);
  v128.store(into, codes32(bits, 1, x, u), 128);
}

// @ts-ignore: decorator
@inline
function load32(width: i32, address: usize): v128 {
  if (width == 4) return v128.load(address);
  if (width == 2) return v128.load64_zero(address);
  if (width == 1) return v128.load32_splat(address);
  return i32x4.splat(0);
}

// @ts-ignore: decorator
@inline
function codes32(bits: i32, q: i32, x: v128, u: v128): v128 {
  const shift = plane1Width(bits);
  return centred(bits, v128.or(field32(plane0Width(bits), shift, q, x), field32(shift, 0, q, u)));
}

// @ts-ignore: decorator
@inline
function field32(width: i32, shift: i32, q: i32, x: v128): v128 {
  if (width == 4) return field(4, shift, q << 2, x);
  if (width == 2) {
    const first = field(2, shift, q << 2, x), second = field(2, shift, (q << 2) + 2, x);
    return i8x16.shuffle(first, second, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  }
  if (width == 1) return i8x16.min_u(v128.and(x, constant(BIT_QUADS + q)), constant(BYTES_01));
  return i32x4.splat(0);
}

/** In each byte, the field that starts at bit `position`, moved to bit `shift`. */
// @ts-ignore: decorator
@inline
function field(width: i32, shift: i32, position: i32, x: v128): v128 {
  const mask = constant(maskOf(width, shift));
  if (position > shift) return v128.and(i16x8.shr_u(x, position - shift), mask);
  if (position < shift) return v128.and(i16x8.shl(x, shift - position), mask);
  return v128.and(x, mask);
}

// @ts-ignore: decorator
@inline
function maskOf(width: i32, shift: i32): i32 {
  if (width == 4) return shift == 4 ? HIGH_NIBBLES : shift == 2 ? BYTES_3C : shift == 1 ? BYTES_1E : LOW_NIBBLES;
  return shift == 1 ? BYTES_06 : BYTES_03;
}

// @ts-ignore: decorator
@inline
function centred(bits: i32, x: v128): v128 {
  return isWide(bits) ? v128.xor(x, constant(BYTE_SIGNS)) : x;
}

/**
 * Packs a row of codes, a byte each, into its planes.
 *
 * @param count a multiple of 32
 */
export function packRow(row: usize, count: i32, bits: i32, plane0: usize, plane1: usize): void {
  const shift = plane1Width(bits);
  packPlane(row, count, plane0Width(bits), shift, plane0);
  if (shift) packPlane(row, count, shift, 0, plane1);
}

/** Bits `shift` to `shift + width - 1` of each code, in groups of up to 64 codes: byte i has code i + n * j of a group of n bytes. */
function packPlane(row: usize, count: i32, width: i32, shift: i32, plane: usize): void {
  const groupCodes = width == 4 ? 32 : 64;
  const mask = (1 << width) - 1;
  for (let first = 0; first < count; first += groupCodes) {
    const numBytes = (min(groupCodes, count - first) * width) >> 3;
    for (let i = 0; i < numBytes; i++) {
      let byte = 0;
      let code = row + <usize>(first + i);
      for (let bit = 0; bit < 8; bit += width) {
        byte |= ((<i32>load<u8>(code) >> shift) & mask) << bit;
        code += <usize>numBytes;
      }
      store<u8>(plane + <usize>i, <u8>byte);
    }
    plane += <usize>numBytes;
  }
}
