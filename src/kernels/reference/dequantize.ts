import { f16Value } from '../../quant/f16.ts';
import type { WeightType } from '../weight-types.ts';
import { WEIGHT_TYPES } from '../weight-types.ts';

/** Writes the weights of the block at byte `at` to `out` from `o` on. */
type BlockReader = (view: DataView, at: number, out: Float32Array, o: number) => void;

/**
 * Weights of whole blocks as float32, each operation rounded to float32 as ggml does (`dequantize_row_*` in
 * ggml-quants.c).
 *
 * @param bytes whole blocks of `type`, as they lie in a GGUF file
 * @param out room for all their weights
 * @throws RangeError if the bytes are not whole blocks or `out` has another length
 */
export function dequantize(type: WeightType, bytes: Uint8Array, out: Float32Array): void {
  const { blockElements, blockBytes } = WEIGHT_TYPES[type];
  if (bytes.length * blockElements !== out.length * blockBytes) {
    throw new RangeError(`${bytes.length} bytes of ${type} are not ${out.length} weights`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const readBlock = BLOCK_READERS[type];
  for (let at = 0, o = 0; o < out.length; at += blockBytes, o += blockElements) readBlock(view, at, out, o);
}

const BLOCK_READERS: Record<WeightType, BlockReader> = {
  F32(view, at, out, o) {
    out[o] = view.getFloat32(at, true);
  },
  F16(view, at, out, o) {
    out[o] = readF16(view, at);
  },
  BF16(view, at, out, o) {
    out[o] = bf16Value(view.getUint16(at, true));
  },
  Q4_0(view, at, out, o) {
    const d = readF16(view, at);
    for (let i = 0; i < 16; i++) {
      const byte = view.getUint8(at + 2 + i);
      out[o + i] = d * ((byte & 15) - 8);
      out[o + 16 + i] = d * ((byte >> 4) - 8);
    }
  },
  Q4_1(view, at, out, o) {
    const d = readF16(view, at);
    const m = readF16(view, at + 2);
    for (let i = 0; i < 16; i++) {
      const byte = view.getUint8(at + 4 + i);
      out[o + i] = Math.fround(d * (byte & 15)) + m;
      out[o + 16 + i] = Math.fround(d * (byte >> 4)) + m;
    }
  },
  Q5_0(view, at, out, o) {
    const d = readF16(view, at);
    const high = view.getUint32(at + 2, true);
    for (let i = 0; i < 16; i++) {
      const byte = view.getUint8(at + 6 + i);
      out[o + i] = d * (fiveBits(byte & 15, high, i) - 16);
      out[o + 16 + i] = d * (fiveBits(byte >> 4, high, 16 + i) - 16);
    }
  },
  Q5_1(view, at, out, o) {
    const d = readF16(view, at);
    const m = readF16(view, at + 2);
    const high = view.getUint32(at + 4, true);
    for (let i = 0; i < 16; i++) {
      const byte = view.getUint8(at + 8 + i);
      out[o + i] = Math.fround(d * fiveBits(byte & 15, high, i)) + m;
      out[o + 16 + i] = Math.fround(d * fiveBits(byte >> 4, high, 16 + i)) + m;
    }
  },
  Q8_0(view, at, out, o) {
    const d = readF16(view, at);
    for (let i = 0; i < 32; i++) out[o + i] = d * view.getInt8(at + 2 + i);
  },
  /** 256 weights: f16 d and dmin, 12 bytes of 6-bit scales, 4 groups of 64 nibbles. */
  Q4_K(view, at, out, o) {
    for (let group = 0; group < 8; group++) {
      const { scale, min } = readScaleAndMin(view, at, group);
      const shift = 4 * (group % 2);
      for (let i = 0; i < 32; i++) {
        const code = (view.getUint8(at + 16 + 32 * (group >> 1) + i) >> shift) & 15;
        out[o + 32 * group + i] = Math.fround(scale * code) - min;
      }
    }
  },
  /** As Q4_K, with the fifth bits in 32 bytes before the nibbles, a bit position per group of 32. */
  Q5_K(view, at, out, o) {
    for (let group = 0; group < 8; group++) {
      const { scale, min } = readScaleAndMin(view, at, group);
      const shift = 4 * (group % 2);
      for (let i = 0; i < 32; i++) {
        const low = (view.getUint8(at + 48 + 32 * (group >> 1) + i) >> shift) & 15;
        const high = (view.getUint8(at + 16 + i) >> group) & 1;
        out[o + 32 * group + i] = Math.fround(scale * (low | (high << 4))) - min;
      }
    }
  },
  /** 256 weights: 128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales, f16 d. */
  Q6_K(view, at, out, o) {
    const d = readF16(view, at + 208);
    for (let i = 0; i < 256; i++) {
      const half = i >> 7;
      const quarter = (i >> 5) & 3;
      const low = view.getUint8(at + 64 * half + (i & 63)) >> (quarter < 2 ? 0 : 4);
      const high = view.getUint8(at + 128 + 32 * half + (i & 31)) >> (2 * quarter);
      const code = ((low & 15) | ((high & 3) << 4)) - 32;
      out[o + i] = Math.fround(d * view.getInt8(at + 192 + (i >> 4))) * code;
    }
  },
};

function readF16(view: DataView, at: number): number {
  return f16Value(view.getUint16(at, true));
}

const bf16Bits = new Uint32Array(1);
const bf16Float = new Float32Array(bf16Bits.buffer);

function bf16Value(bits: number): number {
  bf16Bits[0] = bits << 16;
  return bf16Float[0];
}

function fiveBits(nibble: number, high: number, index: number): number {
  return nibble | (((high >>> index) & 1) << 4);
}

/**
 * The 6-bit scale and minimum of a group of 32, times d and dmin. Groups 0-3 have theirs in the low six bits of bytes
 * 0-3 and 4-7; groups 4-7 in the nibbles of bytes 8-11, with their top two bits in those of bytes 0-7.
 */
export function readScaleAndMin(view: DataView, at: number, group: number): { scale: number; min: number } {
  const byte = (index: number): number => view.getUint8(at + 4 + index);
  let scale = byte(group % 4) & 63;
  let min = byte(4 + (group % 4)) & 63;
  if (group >= 4) {
    scale = (byte(4 + group) & 15) | ((byte(group - 4) >> 6) << 4);
    min = (byte(4 + group) >> 4) | ((byte(group) >> 6) << 4);
  }
  return {
    scale: Math.fround(readF16(view, at) * scale),
    min: Math.fround(readF16(view, at + 2) * min),
  };
}
