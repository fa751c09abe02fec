/**
 * Vectors of equal lanes, read from memory. V8 builds a constant anew wherever it is used, from three instructions that go through a
 * general register; a load is one. (Measured on the matmul of decode: a third of its time.)
 */
const TABLE: usize = memory.data<u32>(
  [
    0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, // low nibbles of bytes
    0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, 0xf0f0f0f0, // high nibbles of bytes
    0x80808080, 0x80808080, 0x80808080, 0x80808080, // sign bits of bytes
    0x01010101, 0x01010101, 0x01010101, 0x01010101, // ones as bytes
    0x007f007f, 0x007f007f, 0x007f007f, 0x007f007f, // low 7 bits of 16-bit words
    0x20002000, 0x20002000, 0x20002000, 0x20002000, // 8192 as 16-bit words
    0x8fffffff, 0x8fffffff, 0x8fffffff, 0x8fffffff, // fields of a half, moved into those of a float32
    0x77800000, 0x77800000, 0x77800000, 0x77800000, // 2^112
    0x3fb8aa3b, 0x3fb8aa3b, 0x3fb8aa3b, 0x3fb8aa3b, // log2(e)
    0xc2fc0000, 0xc2fc0000, 0xc2fc0000, 0xc2fc0000, // -126
    0x42fe0000, 0x42fe0000, 0x42fe0000, 0x42fe0000, // 127
    0x0000007f, 0x0000007f, 0x0000007f, 0x0000007f, // 127 as an integer
    0x3f800000, 0x3f800000, 0x3f800000, 0x3f800000, // 1
    0x3f317218, 0x3f317218, 0x3f317218, 0x3f317218, // ln(2)
    0x3e75fdf0, 0x3e75fdf0, 0x3e75fdf0, 0x3e75fdf0, // ln(2)^2 / 2!
    0x3d635847, 0x3d635847, 0x3d635847, 0x3d635847, // ln(2)^3 / 3!
    0x3c1d955b, 0x3c1d955b, 0x3c1d955b, 0x3c1d955b, // ln(2)^4 / 4!
    0x3aaec3ff, 0x3aaec3ff, 0x3aaec3ff, 0x3aaec3ff, // ln(2)^5 / 5!
    0x39218489, 0x39218489, 0x39218489, 0x39218489, // ln(2)^6 / 6!
    0xff800000, 0xff800000, 0xff800000, 0xff800000, // -infinity
  ],
  16,
);

export const LOW_NIBBLES = 0;
export const HIGH_NIBBLES = 1;
export const BYTE_SIGNS = 2;
export const BYTE_ONES = 3;
export const LOW_7_BITS = 4;
export const WORDS_8192 = 5;
export const HALF_FIELDS = 6;
export const TWO_TO_112 = 7;
export const LOG2_E = 8;
export const MINUS_126 = 9;
export const PLUS_127 = 10;
export const INTEGER_127 = 11;
export const ONE = 12;
export const LN2 = 13;
export const LN2_2 = 14;
export const LN2_3 = 15;
export const LN2_4 = 16;
export const LN2_5 = 17;
export const LN2_6 = 18;
export const MINUS_INFINITY = 19;

// @ts-ignore: decorator
@inline
export function constant(index: i32): v128 {
  return v128.load(TABLE + (<usize>index << 4));
}
