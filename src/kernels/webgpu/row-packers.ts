import { f16Value } from '../../quant/f16.ts';
import { readScaleAndMin } from '../reference/dequantize.ts';
import type { WeightType } from '../weight-types.ts';

/** Where rows of a quantized type go (weight-packing.ts): codes, and scales as halves or as pairs of float32, which are the same bytes. */
export interface PackTarget {
  readonly codes: Uint32Array;
  readonly halves: Uint16Array;
  readonly pairs: Float32Array;
  /** Of each group of 32 columns of a row: its place among the row's. */
  readonly slots: Uint32Array;
}

/**
 * Packs a row of blocks, four codes at a time.
 *
 * @param from first byte of the row's blocks
 * @param firstGroup of the row, among all groups of the target
 */
export type RowPacker = (view: DataView, from: number, target: PackTarget, firstGroup: number) => void;

/** What codes of 4 bits count from, and those of 5. */
const MIDDLE = { nibble: 8, five: 16 } as const;
/** Eight codes of 4 bits less 8 each, as signed ones. */
const NIBBLE_SIGNS = 0x88888888;
const NIBBLES = 0x0f0f0f0f;
const GROUPS_A_SUPERBLOCK = 8;

/** By type; those in floating point are as they are. Formats of blocks: ggml's block_q4_0 and so on. */
export const ROW_PACKERS: Readonly<Partial<Record<WeightType, RowPacker>>> = {
  Q4_0(view, from, { codes, halves, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const at = from + 18 * group;
      const place = firstGroup + slots[group];
      halves[place] = view.getUint16(at, true);
      copyNibbles(view, at + 2, codes, place);
    }
  },
  Q4_1(view, from, { codes, pairs, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const at = from + 20 * group;
      const place = firstGroup + slots[group];
      writeScaleAndMinimum(view, at, pairs, place, MIDDLE.nibble);
      copyNibbles(view, at + 4, codes, place);
    }
  },
  Q5_0(view, from, { codes, halves, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const at = from + 22 * group;
      const place = firstGroup + slots[group];
      halves[place] = view.getUint16(at, true);
      copyFives(view, at + 2, codes, place);
    }
  },
  Q5_1(view, from, { codes, pairs, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const at = from + 24 * group;
      const place = firstGroup + slots[group];
      writeScaleAndMinimum(view, at, pairs, place, MIDDLE.five);
      copyFives(view, at + 4, codes, place);
    }
  },
  Q8_0(view, from, { codes, halves, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const at = from + 34 * group;
      const place = firstGroup + slots[group];
      halves[place] = view.getUint16(at, true);
      for (let i = 0; i < 8; i++) codes[8 * place + i] = view.getUint32(at + 2 + 4 * i, true);
    }
  },
  Q4_K(view, from, { codes, pairs, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const block = from + 144 * (group >> 3);
      const index = group % GROUPS_A_SUPERBLOCK;
      const place = firstGroup + slots[group];
      const { scale, min } = readScaleAndMin(view, block, index);
      pairs[2 * place] = scale;
      pairs[2 * place + 1] = MIDDLE.nibble * scale - min;
      const [at, shift] = [block + 16 + 32 * (index >> 1), 4 * (index & 1)];
      for (let i = 0; i < 4; i++) {
        const low = (view.getUint32(at + 4 * i, true) >>> shift) & NIBBLES;
        const high = (view.getUint32(at + 16 + 4 * i, true) >>> shift) & NIBBLES;
        codes[4 * place + i] = (low | (high << 4)) ^ NIBBLE_SIGNS;
      }
    }
  },
  Q5_K(view, from, { codes, pairs, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const block = from + 176 * (group >> 3);
      const index = group % GROUPS_A_SUPERBLOCK;
      const place = firstGroup + slots[group];
      const { scale, min } = readScaleAndMin(view, block, index);
      pairs[2 * place] = scale;
      pairs[2 * place + 1] = MIDDLE.five * scale - min;
      const [at, shift] = [block + 48 + 32 * (index >> 1), 4 * (index & 1)];
      for (let i = 0; i < 8; i++) {
        const low = (view.getUint32(at + 4 * i, true) >>> shift) & NIBBLES;
        const fifth = (view.getUint32(block + 16 + 4 * i, true) >>> index) & 0x01010101;
        codes[8 * place + i] = fivesLessMiddle(low | (fifth << 4));
      }
    }
  },
  Q6_K(view, from, { codes, pairs, slots }, firstGroup) {
    for (let group = 0; group < slots.length; group++) {
      const block = from + 210 * (group >> 3);
      const index = group % GROUPS_A_SUPERBLOCK;
      const place = firstGroup + slots[group];
      const scale = f16Value(view.getUint16(block + 208, true));
      pairs[2 * place] = scale * view.getInt8(block + 192 + 2 * index);
      pairs[2 * place + 1] = scale * view.getInt8(block + 193 + 2 * index);
      const [half, quarter] = [index >> 2, index & 3];
      const lowAt = block + 64 * half + 32 * (quarter & 1);
      const highAt = block + 128 + 32 * half;
      for (let i = 0; i < 8; i++) {
        const low = (view.getUint32(lowAt + 4 * i, true) >>> (quarter < 2 ? 0 : 4)) & NIBBLES;
        const high = (view.getUint32(highAt + 4 * i, true) >>> (2 * quarter)) & 0x03030303;
        codes[8 * place + i] = sixesLessMiddle(low | (high << 4));
      }
    }
  },
};

/** @param middle what codes count from, which goes into the minimum */
function writeScaleAndMinimum(view: DataView, at: number, pairs: Float32Array, place: number, middle: number): void {
  const scale = f16Value(view.getUint16(at, true));
  pairs[2 * place] = scale;
  pairs[2 * place + 1] = f16Value(view.getUint16(at + 2, true)) + middle * scale;
}

function copyNibbles(view: DataView, at: number, codes: Uint32Array, place: number): void {
  for (let i = 0; i < 4; i++) codes[4 * place + i] = view.getUint32(at + 4 * i, true) ^ NIBBLE_SIGNS;
}

/** Four bytes of fifth bits, then 16 of nibbles. */
function copyFives(view: DataView, at: number, codes: Uint32Array, place: number): void {
  const fifths = view.getUint32(at, true);
  for (let i = 0; i < 4; i++) {
    const nibbles = view.getUint32(at + 4 + 4 * i, true);
    codes[8 * place + i] = fivesLessMiddle((nibbles & NIBBLES) | fifthBits(fifths >>> (4 * i)));
    codes[8 * place + 4 + i] = fivesLessMiddle(((nibbles >>> 4) & NIBBLES) | fifthBits(fifths >>> (16 + 4 * i)));
  }
}

/** The last four bits, as bit 4 of a byte each. */
function fifthBits(bits: number): number {
  return ((bits & 1) << 4) | ((bits & 2) << 11) | ((bits & 4) << 18) | ((bits & 8) << 25);
}

/** Four codes of 5 bits less 16 each, as signed bytes: bit 4 the other way round, and all above it like it. */
function fivesLessMiddle(fives: number): number {
  const flipped = fives ^ 0x10101010;
  const signs = flipped & 0x10101010;
  return flipped | (signs << 1) | (signs << 2) | (signs << 3);
}

/** Four codes of 6 bits less 32 each, in the same way. */
function sixesLessMiddle(sixes: number): number {
  const flipped = sixes ^ 0x20202020;
  const signs = flipped & 0x20202020;
  return flipped | (signs << 1) | (signs << 2);
}
