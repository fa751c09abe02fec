/**
 * Vectors read from memory. V8 builds a constant anew wherever it is used, from three instructions that go through a
 * general register; a load is one. (Measured on the matmul of decode: a third of its time.)
 */
const TABLE: usize = memory.data<u32>(
  [
    0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, // low nibbles of bytes
    0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, // high nibbles of bytes
    0x80808080, 0x80808080, 0x80808080, 0x80808080, // sign bits of bytes
    0x007f007f, 0x007f007f, 0x007f007f, 0x007f007f, // low 7 bits of 16-bit words
    0x20002000, 0x20002000, 0x20002000, 0x20002000, // 8192 as 16-bit words
    0x8fffffff, 0x8fffffff, 0x8fffffff, 0x8fffffff, // fields of a half, moved into those of a float32
    0x77800000, 0x77800000, 0x77800000, 0x77800000, // 2^112
    0x3fb8aa3b, 0x3fb8aa3b, 0x3fb8aa3b, 0x3fb8aa3b, // log2(e)
    0xc2fc0000, 0xc2fc0000, 0xc2fc0000, 0xc2fc0000, // -126
    0x42fe0000, 0x42fe0000, 0x42fe0000, 0x42fe0000, // 127
    0x4b40007f, 0x4b40007f, 0x4b40007f, 0x4b40007f, // 1.5 * 2^23 + 127
    0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000, // 1
    0x3f317218, 0x3f317218, 0x3f317218, 0x3f317218, // coefficients of 2^r, see simd.ts
    0x3e75fd26, 0x3e75fd26, 0x3e75fd26, 0x3e75fd26,
    0x3d6357f7, 0x3d6357f7, 0x3d6357f7, 0x3d6357f7,
    0x3c1e5fb0, 0x3c1e5fb0, 0x3c1e5fb0, 0x3c1e5fb0,
    0x3aaf6433, 0x3aaf6433, 0x3aaf6433, 0x3aaf6433,
    0xff800000, 0xff800000, 0xff800000, 0xff800000, // -infinity
    0x7fffffff, 0x7fffffff, 0x7fffffff, 0x7fffffff, // all bits but the sign
    0x00010001, 0x00010001, 0x00010001, 0x00010001, // 1 as 16-bit words
    0x4b400000, 0x4b400000, 0x4b400000, 0x4b400000, // 1.5 * 2^23
    0x3c3c3c3c, 0x3c3c3c3c, 0x3c3c3c3c, 0x3c3c3c3c, // BYTES_3C
    0x1e1e1e1e, 0x1e1e1e1e, 0x1e1e1e1e, 0x1e1e1e1e, // BYTES_1E
    0x06060606, 0x06060606, 0x06060606, 0x06060606, // BYTES_06
    0x03030303, 0x03030303, 0x03030303, 0x03030303, // BYTES_03
    0x01010101, 0x01010101, 0x01010101, 0x01010101, // BYTES_01
    0x01010101, 0x01010101, 0x02020202, 0x02020202, // bits 2q and 2q + 1 of 8 bytes, q = 0..3
    0x04040404, 0x04040404, 0x08080808, 0x08080808,
    0x10101010, 0x10101010, 0x20202020, 0x20202020,
    0x40404040, 0x40404040, 0x80808080, 0x80808080,
    0x01010101, 0x02020202, 0x04040404, 0x08080808, // bits 4q to 4q + 3 of 4 bytes, q = 0, 1
    0x10101010, 0x20202020, 0x40404040, 0x80808080,
    0x000000ff, 0x000000ff, 0x000000ff, 0x000000ff, // lowest byte of 32-bit words
  ],
  16,
);

export const LOW_NIBBLES = 0;
export const HIGH_NIBBLES = 1;
export const BYTE_SIGNS = 2;
export const LOW_7_BITS = 3;
export const WORDS_8192 = 4;
export const HALF_FIELDS = 5;
export const TWO_TO_112 = 6;
export const LOG2_E = 7;
export const MINUS_126 = 8;
export const PLUS_127 = 9;
export const ROUNDER = 10;
export const ONE = 11;
export const EXP2_1 = 12;
export const EXP2_2 = 13;
export const EXP2_3 = 14;
export const EXP2_4 = 15;
export const EXP2_5 = 16;
export const MINUS_INFINITY = 17;
export const MAGNITUDE = 18;
export const WORDS_1 = 19;
export const INTEGER_BITS = 20;
/** Bytes that hold fields of codes, by their bits. */
export const BYTES_3C = 21;
export const BYTES_1E = 22;
export const BYTES_06 = 23;
export const BYTES_03 = 24;
export const BYTES_01 = 25;
/** The first of four, and of two. */
export const BIT_PAIRS = 26;
export const BIT_QUADS = 30;
export const LOW_BYTE = 32;

// @ts-ignore: decorator
@inline
export function constant(index: i32): v128 {
  return v128.load(TABLE + (<usize>index << 4));
}
