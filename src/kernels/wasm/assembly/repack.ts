import {
  COMMAND_ARGUMENTS,
  STRIP_ROWS,
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_1,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
} from './commands';
import { codesBytes, floatBytes, groupAddress, groupBytes, isFloat, stripBytes } from './packed-weights';

/**
 * Puts rows of a GGUF tensor (ggml's block layouts) into packed strips. The work item is a strip.
 * Arguments: type, source, destination of the first strip, columns, rows, head size and rotary size (0: rows keep their order).
 */
export function repackStrips(command: usize, begin: i32, end: i32): void {
  const args = command + COMMAND_ARGUMENTS;
  const type = load<i32>(args);
  const source = <usize>load<u32>(args, 4);
  const destination = <usize>load<u32>(args, 8);
  const numCols = load<i32>(args, 12);
  const numRows = load<i32>(args, 16);
  const headDim = load<i32>(args, 20);
  const ropeDim = load<i32>(args, 24);
  const rowBytes = <usize>fileRowBytes(type, numCols);
  const bytes = <usize>stripBytes(type, numCols);
  for (let strip = begin; strip < end; strip++) {
    const target = destination + <usize>strip * bytes;
    for (let lane = 0; lane < STRIP_ROWS; lane++) {
      const row = strip * STRIP_ROWS + lane;
      if (row >= numRows) break;
      const from = source + <usize>fileRow(row, headDim, ropeDim) * rowBytes;
      if (isFloat(type)) repackFloats(floatBytes(type), from, target, lane, numCols);
      else repackRow(type, from, target, lane, numCols);
    }
  }
}

/** Rows of a head come as rotary pairs (2i, 2i + 1) in the file and are wanted as (i, i + ropeDim / 2). */
// @ts-ignore: decorator
@inline
function fileRow(row: i32, headDim: i32, ropeDim: i32): i32 {
  if (ropeDim == 0) return row;
  const index = row % headDim;
  if (index >= ropeDim) return row;
  const half = ropeDim >> 1;
  return row - index + (index < half ? 2 * index : 2 * (index - half) + 1);
}

function fileRowBytes(type: i32, numCols: i32): i32 {
  if (isFloat(type)) return numCols * floatBytes(type);
  if (type == TYPE_Q4_0) return (numCols >> 5) * 18;
  if (type == TYPE_Q4_1) return (numCols >> 5) * 20;
  if (type == TYPE_Q5_0) return (numCols >> 5) * 22;
  if (type == TYPE_Q5_1) return (numCols >> 5) * 24;
  if (type == TYPE_Q8_0) return (numCols >> 5) * 34;
  if (type == TYPE_Q4_K) return (numCols >> 8) * 144;
  if (type == TYPE_Q5_K) return (numCols >> 8) * 176;
  return (numCols >> 8) * 210; // Q6_K
}

function repackFloats(numBytes: i32, from: usize, strip: usize, lane: i32, numCols: i32): void {
  let target = strip + <usize>(lane * numBytes);
  for (let column = 0; column < numCols; column++) {
    if (numBytes == 4) store<u32>(target, load<u32>(from));
    else store<u16>(target, load<u16>(from));
    from += numBytes;
    target += STRIP_ROWS * numBytes;
  }
}

function repackRow(type: i32, from: usize, strip: usize, lane: i32, numCols: i32): void {
  if (type == TYPE_Q4_K || type == TYPE_Q5_K || type == TYPE_Q6_K) {
    for (let block = 0; block < numCols >> 8; block++) {
      if (type == TYPE_Q6_K) repackQ6K(from + <usize>(block * 210), strip, lane, block);
      else if (type == TYPE_Q5_K) repackQ45K(type, from + <usize>(block * 176), strip, lane, block);
      else repackQ45K(type, from + <usize>(block * 144), strip, lane, block);
    }
    return;
  }
  const blockBytes = <usize>fileRowBytes(type, 32);
  for (let group = 0; group < numCols >> 5; group++) {
    repackBlock32(type, from + <usize>group * blockBytes, groupAddress(type, strip, group), lane);
  }
}

/** Where 4 codes of a row go: word j of a group. */
// @ts-ignore: decorator
@inline
function storeWord(group: usize, lane: i32, j: i32, word: u32): void {
  store<u32>(group + <usize>((j * STRIP_ROWS + lane) * 4), word);
}

/** ggml blocks of 32: f16 scale, (f16 minimum), (32 fifth bits), codes. Its nibbles are paired as ours are. */
function repackBlock32(type: i32, block: usize, group: usize, lane: i32): void {
  const hasMinimum = type == TYPE_Q4_1 || type == TYPE_Q5_1;
  const scales = group + <usize>(codesBytes(type) + lane * 2);
  store<u16>(scales, load<u16>(block));
  if (hasMinimum) store<u16>(scales + 2 * STRIP_ROWS, load<u16>(block + 2));
  const data = block + <usize>(hasMinimum ? 4 : 2);
  if (type == TYPE_Q8_0) {
    for (let j = 0; j < 8; j++) storeWord(group, lane, j, load<u32>(data + <usize>(4 * j)) ^ 0x80808080);
  } else if (type == TYPE_Q4_0 || type == TYPE_Q4_1) {
    for (let j = 0; j < 4; j++) storeWord(group, lane, j, load<u32>(data + <usize>(4 * j)));
  } else {
    const fifth = load<u32>(data);
    for (let j = 0; j < 8; j++) {
      const nibbles = (load<u32>(data + 4 + <usize>(4 * (j & 3))) >> (j < 4 ? 0 : 4)) & 0x0f0f0f0f;
      // Bits b0..b3 to the lowest bit of four bytes.
      const spread = (((fifth >> (4 * j)) & 15) * 0x00204081) & 0x01010101;
      storeWord(group, lane, j, nibbles | (spread << 4));
    }
  }
}

/** Q4_K, Q5_K: f16 super-scale and super-minimum, 12 bytes of 6-bit scales and minima, (32 bytes of fifth bits), 128 of nibbles. */
function repackQ45K(type: i32, block: usize, strip: usize, lane: i32, index: i32): void {
  const first = groupAddress(type, strip, index * 8);
  const top = first + <usize>(8 * groupBytes(type)) + <usize>(lane * 2);
  store<u16>(top, load<u16>(block));
  store<u16>(top + 2 * STRIP_ROWS, load<u16>(block + 2));
  const fifth = block + 16;
  const nibbles = block + (type == TYPE_Q5_K ? 48 : 16);
  for (let g = 0; g < 8; g++) {
    const group = first + <usize>(g * groupBytes(type));
    const meta = group + <usize>(codesBytes(type) + lane);
    store<u8>(meta, sixBitScale(block + 4, g));
    store<u8>(meta + STRIP_ROWS, sixBitMinimum(block + 4, g));
    const data = nibbles + <usize>((g >> 1) * 32);
    const shift = (g & 1) * 4;
    for (let j = 0; j < 4; j++) {
      const low = (load<u32>(data + <usize>(4 * j)) >> shift) & 0x0f0f0f0f;
      const high = (load<u32>(data + 16 + <usize>(4 * j)) >> shift) & 0x0f0f0f0f;
      if (type == TYPE_Q4_K) {
        storeWord(group, lane, j, low | (high << 4));
      } else {
        const bits0 = (load<u32>(fifth + <usize>(4 * j)) >> g) & 0x01010101;
        const bits1 = (load<u32>(fifth + 16 + <usize>(4 * j)) >> g) & 0x01010101;
        storeWord(group, lane, j, low | (bits0 << 4));
        storeWord(group, lane, j + 4, high | (bits1 << 4));
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function sixBitScale(scales: usize, group: i32): u8 {
  if (group < 4) return load<u8>(scales + <usize>group) & 63;
  return (load<u8>(scales + <usize>(group + 4)) & 15) | ((load<u8>(scales + <usize>(group - 4)) >> 6) << 4);
}

// @ts-ignore: decorator
@inline
function sixBitMinimum(scales: usize, group: i32): u8 {
  if (group < 4) return load<u8>(scales + <usize>(group + 4)) & 63;
  return (load<u8>(scales + <usize>(group + 4)) >> 4) | ((load<u8>(scales + <usize>group) >> 6) << 4);
}

/** Q6_K: 128 bytes of low nibbles, 64 of high bit pairs, 16 i8 scales of 16 columns each, f16 super-scale. */
function repackQ6K(block: usize, strip: usize, lane: i32, index: i32): void {
  const first = groupAddress(TYPE_Q6_K, strip, index * 8);
  store<u16>(first + <usize>(8 * groupBytes(TYPE_Q6_K) + lane * 2), load<u16>(block + 208));
  for (let g = 0; g < 8; g++) {
    const group = first + <usize>(g * groupBytes(TYPE_Q6_K));
    const half = <usize>(g >> 2);
    const quarter = g & 3;
    const low = block + half * 64 + <usize>((quarter & 1) * 32);
    const high = block + 128 + half * 32;
    for (let j = 0; j < 8; j++) {
      const nibbles = (load<u32>(low + <usize>(4 * j)) >> ((quarter >> 1) * 4)) & 0x0f0f0f0f;
      const pairs = (load<u32>(high + <usize>(4 * j)) >> (quarter * 2)) & 0x03030303;
      storeWord(group, lane, j, nibbles | (pairs << 4));
    }
    const scales = block + 192 + half * 8 + <usize>(quarter * 2);
    const meta = group + <usize>(codesBytes(TYPE_Q6_K) + lane);
    store<u8>(meta, load<u8>(scales));
    store<u8>(meta + STRIP_ROWS, load<u8>(scales + 1));
  }
}
