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
import { loadBf16x4, loadF16, loadF16x4 } from './simd';

/**
 * Packed weights. A strip is 8 rows; within a strip, groups of 32 columns follow one another. A lane of a 16-byte vector is a row, its
 * 4 bytes are 4 columns, so that a dot product of 4 columns lands in its row's lane and nothing is summed across lanes.
 *
 *     codes of a group: for j in 0..3 (4-bit codes: columns 4j..4j+3 in the low nibbles, 16+4j..16+4j+3 in the high ones) or j in 0..7
 *     (8-bit codes: columns 4j..4j+3): 16 bytes of rows 0..3, then 16 bytes of rows 4..7
 *
 *     Q4_0, Q4_1   128 bytes of 4-bit codes; f16 scale x 8; Q4_1: f16 minimum x 8
 *     Q5_0, Q5_1   256 bytes of codes 0..31; the same scales
 *     Q8_0         256 bytes of codes 0..255 (the file's + 128); f16 scale x 8
 *     Q4_K, Q5_K   of 8 groups: codes as above, u8 scale x 8, u8 minimum x 8; then f16 super-scale x 8, f16 super-minimum x 8
 *     Q6_K         of 8 groups: 256 bytes of codes 0..63, i8 scale of columns 0..15 x 8, of 16..31 x 8; then f16 super-scale x 8
 *     F32, F16, BF16: rows as they are, one after the other
 */

/** Bytes of a strip's group, without what belongs to a super-block of 8 groups. */
// @ts-ignore: decorator
@inline
export function groupBytes(type: i32): i32 {
  if (type == TYPE_Q4_0) return 128 + 16;
  if (type == TYPE_Q4_1) return 128 + 32;
  if (type == TYPE_Q5_0 || type == TYPE_Q8_0) return 256 + 16;
  if (type == TYPE_Q5_1) return 256 + 32;
  if (type == TYPE_Q4_K) return 128 + 16;
  return 256 + 16; // Q5_K, Q6_K
}

/** Bytes that follow 8 groups of a super-block. */
// @ts-ignore: decorator
@inline
export function superBytes(type: i32): i32 {
  if (type == TYPE_Q4_K || type == TYPE_Q5_K) return 32;
  if (type == TYPE_Q6_K) return 16;
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

/** Four weights of a float matrix. */
// @ts-ignore: decorator
@inline
export function loadFloat4(type: i32, address: usize): v128 {
  if (type == TYPE_F32) return v128.load(address);
  if (type == TYPE_F16) return loadF16x4(address);
  return loadBf16x4(address);
}

// @ts-ignore: decorator
@inline
export function floatBytes(type: i32): i32 {
  return type == TYPE_F32 ? 4 : 2;
}

/** Writes row `row` of packed weights as float32. */
export function dequantizeRow(type: i32, weights: usize, row: i32, numCols: i32, out: usize): void {
  if (isFloat(type)) {
    const source = weights + <usize>row * <usize>(numCols * floatBytes(type));
    for (let c = 0; c < numCols; c += 4) {
      v128.store(out + (<usize>c << 2), loadFloat4(type, source + <usize>(c * floatBytes(type))));
    }
    return;
  }
  const strip = weights + <usize>(row / STRIP_ROWS) * <usize>stripBytes(type, numCols);
  for (let group = 0; group < numCols >> 5; group++) {
    dequantizeGroup(type, strip, group, row % STRIP_ROWS, out + (<usize>group << 7));
  }
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
  const lane = <usize>((row >> 2) * 16 + (row & 3) * 4 + (column & 3));
  if (isNibble(type)) {
    const byte = <i32>load<u8>(group + lane + <usize>(((column & 15) >> 2) * 32));
    return column < 16 ? byte & 15 : byte >> 4;
  }
  const address = group + lane + <usize>((column >> 2) * 32);
  return <i32>load<u8>(address);
}

function scaleAt(type: i32, strip: usize, group: i32, row: i32, half: i32): f32 {
  const address = groupAddress(type, strip, group);
  if (type == TYPE_Q4_0 || type == TYPE_Q4_1) return loadF16(address + 128 + <usize>(row * 2));
  if (type == TYPE_Q5_0 || type == TYPE_Q5_1 || type == TYPE_Q8_0) return loadF16(address + 256 + <usize>(row * 2));
  const top = loadF16(superAddress(type, strip, group) + <usize>(row * 2));
  if (type == TYPE_Q4_K) return top * <f32>load<u8>(address + 128 + <usize>row);
  if (type == TYPE_Q5_K) return top * <f32>load<u8>(address + 256 + <usize>row);
  return top * <f32>load<i8>(address + 256 + <usize>(half * 8 + row));
}

/** What is added to scale x code, for types that have a minimum. */
function minimumAt(type: i32, strip: usize, group: i32, row: i32): f32 {
  const address = groupAddress(type, strip, group);
  if (type == TYPE_Q4_1) return loadF16(address + 144 + <usize>(row * 2));
  if (type == TYPE_Q5_1) return loadF16(address + 272 + <usize>(row * 2));
  const top = loadF16(superAddress(type, strip, group) + 16 + <usize>(row * 2));
  const offset = type == TYPE_Q4_K ? 136 : 264;
  return -top * <f32>load<u8>(address + <usize>(offset + row));
}
