import {
  STRIP_ROWS,
  TYPE_BF16,
  TYPE_F16,
  TYPE_F32,
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_1,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
} from './commands';
import { loadF16 } from './simd';

/**
 * Packed weights. A strip is 16 rows; within a strip, groups of 32 columns follow one another. A 32-bit lane is a row, its 4 bytes are 4
 * columns, so that a dot product of 4 columns lands in its row's lane and nothing is summed across lanes.
 *
 *     codes of a group: for j in 0..3 (4-bit codes: columns 4j..4j+3 in the low nibbles, 16+4j..16+4j+3 in the high ones) or j in 0..7
 *     (8-bit codes: columns 4j..4j+3): 4 bytes of each of the 16 rows
 *
 *     Q4_0, Q4_1   256 bytes of 4-bit codes; f16 scale x 16; Q4_1: f16 minimum x 16
 *     Q5_0, Q5_1   512 bytes of codes 0..31; the same scales
 *     Q8_0         512 bytes of codes 0..255 (the file's + 128); f16 scale x 16
 *     Q4_K, Q5_K   of 8 groups: codes as above, u8 scale x 16, u8 minimum x 16; then f16 super-scale x 16, f16 super-minimum x 16
 *     Q6_K         of 8 groups: 512 bytes of codes 0..63, i8 scale of columns 0..15 x 16, of 16..31 x 16; then f16 super-scale x 16
 *     F32, F16, BF16: column by column, a number of each of the 16 rows
 */

/** Bytes of a group's codes. */
// @ts-ignore: decorator
@inline
export function codesBytes(type: i32): i32 {
  return isNibble(type) ? 16 * STRIP_ROWS : 32 * STRIP_ROWS;
}

/** Bytes of a strip's group, without what belongs to a super-block of 8 groups. */
// @ts-ignore: decorator
@inline
export function groupBytes(type: i32): i32 {
  if (type == TYPE_Q4_1 || type == TYPE_Q5_1) return codesBytes(type) + 4 * STRIP_ROWS;
  return codesBytes(type) + 2 * STRIP_ROWS;
}

/** Bytes that follow 8 groups of a super-block. */
// @ts-ignore: decorator
@inline
export function superBytes(type: i32): i32 {
  if (type == TYPE_Q4_K || type == TYPE_Q5_K) return 4 * STRIP_ROWS;
  if (type == TYPE_Q6_K) return 2 * STRIP_ROWS;
  return 0;
}

// @ts-ignore: decorator
@inline
export function isFloat(type: i32): bool {
  return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16;
}

/** Bytes of a strip of `numCols` columns. */
export function stripBytes(type: i32, numCols: i32): i32 {
  if (type == TYPE_F32) return STRIP_ROWS * 4 * numCols;
  if (isFloat(type)) return STRIP_ROWS * 2 * numCols;
  return (numCols >> 5) * groupBytes(type) + (numCols >> 8) * superBytes(type);
}

/** Address of a group within its strip. */
// @ts-ignore: decorator
@inline
export function groupAddress(type: i32, strip: usize, group: i32): usize {
  return strip + <usize>(group * groupBytes(type) + (group >> 3) * superBytes(type));
}

/** Address of the super-scales of the super-block that holds a group. */
// @ts-ignore: decorator
@inline
function superAddress(type: i32, strip: usize, group: i32): usize {
  return groupAddress(type, strip, group & ~7) + <usize>(8 * groupBytes(type));
}

// @ts-ignore: decorator
@inline
export function floatBytes(type: i32): i32 {
  return type == TYPE_F32 ? 4 : 2;
}

/** Writes row `row` of packed weights as float32. */
export function dequantizeRow(type: i32, weights: usize, row: i32, numCols: i32, out: usize): void {
  const strip = weights + <usize>(row / STRIP_ROWS) * <usize>stripBytes(type, numCols);
  if (isFloat(type)) {
    for (let c = 0; c < numCols; c++) store<f32>(out + (<usize>c << 2), floatAt(type, strip, row % STRIP_ROWS, c));
    return;
  }
  for (let group = 0; group < numCols >> 5; group++) {
    dequantizeGroup(type, strip, group, row % STRIP_ROWS, out + (<usize>group << 7));
  }
}

function floatAt(type: i32, strip: usize, row: i32, column: i32): f32 {
  const address = strip + <usize>((column * STRIP_ROWS + row) * floatBytes(type));
  if (type == TYPE_F32) return load<f32>(address);
  if (type == TYPE_F16) return loadF16(address);
  return reinterpret<f32>(<u32>load<u16>(address) << 16);
}

function dequantizeGroup(type: i32, strip: usize, group: i32, row: i32, out: usize): void {
  const address = groupAddress(type, strip, group);
  for (let c = 0; c < 32; c++) {
    // ggml's own order of operations, so that the values are exactly those that its tools give.
    const scaled = scaleAt(type, strip, group, row, c >> 4) * <f32>codeAt(type, address, row, c);
    const value = hasMinimum(type) ? scaled + minimumAt(type, strip, group, row) : scaled;
    store<f32>(out + (<usize>c << 2), value);
  }
}

/** The code less its type's offset. */
function codeAt(type: i32, group: usize, row: i32, column: i32): i32 {
  return storedCode(type, group, row, column) - codeOffset(type);
}

/** What the codes of a type without minimum are stored above: 0 is in the middle. */
// @ts-ignore: decorator
@inline
export function codeOffset(type: i32): i32 {
  if (type == TYPE_Q4_0) return 8;
  if (type == TYPE_Q5_0) return 16;
  if (type == TYPE_Q6_K) return 32;
  if (type == TYPE_Q8_0) return 128;
  return 0;
}

// @ts-ignore: decorator
@inline
export function hasMinimum(type: i32): bool {
  return type == TYPE_Q4_1 || type == TYPE_Q5_1 || type == TYPE_Q4_K || type == TYPE_Q5_K;
}

// @ts-ignore: decorator
@inline
export function isNibble(type: i32): bool {
  return type == TYPE_Q4_0 || type == TYPE_Q4_1 || type == TYPE_Q4_K;
}

function storedCode(type: i32, group: usize, row: i32, column: i32): i32 {
  const lane = <usize>(4 * row + (column & 3));
  if (isNibble(type)) {
    const byte = <i32>load<u8>(group + lane + <usize>(((column & 15) >> 2) * 4 * STRIP_ROWS));
    return column < 16 ? byte & 15 : byte >> 4;
  }
  return <i32>load<u8>(group + lane + <usize>((column >> 2) * 4 * STRIP_ROWS));
}

function scaleAt(type: i32, strip: usize, group: i32, row: i32, half: i32): f32 {
  const scales = groupAddress(type, strip, group) + <usize>codesBytes(type);
  if (superBytes(type) == 0) return loadF16(scales + <usize>(row * 2));
  const top = loadF16(superAddress(type, strip, group) + <usize>(row * 2));
  if (type == TYPE_Q6_K) return top * <f32>load<i8>(scales + <usize>(half * STRIP_ROWS + row));
  return top * <f32>load<u8>(scales + <usize>row);
}

/** What is added to scale x code, for types that have a minimum. */
function minimumAt(type: i32, strip: usize, group: i32, row: i32): f32 {
  const scales = groupAddress(type, strip, group) + <usize>codesBytes(type);
  if (superBytes(type) == 0) return loadF16(scales + <usize>((STRIP_ROWS + row) * 2));
  const top = loadF16(superAddress(type, strip, group) + <usize>((STRIP_ROWS + row) * 2));
  return -top * <f32>load<u8>(scales + <usize>(STRIP_ROWS + row));
}
