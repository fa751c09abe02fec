/** Largest finite half. */
export const F16_MAX = 65504;

const F16_NAN = 0x7e00;
const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/**
 * Nearest IEEE 754 half of a float32 value, ties to even, as its 16 bits. Beyond the largest half it is an infinity; a
 * NaN is 0x7e00.
 *
 * @param value any number; it is rounded to float32 first
 */
export function f16Bits(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return F16_NAN;
  // 65520, halfway between the largest half and 65536, is a tie that goes to the even neighbour: infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  return sign | (magnitude >= 0x38800000 ? roundNormal(magnitude) : roundSubnormal(magnitude));
}

/** Like `f16Bits`, but what lies beyond the largest half, infinities included, becomes +-65504. */
export function f16BitsClamped(value: number): number {
  const bits = f16Bits(value);
  return (bits & 0x7fff) === 0x7c00 ? bits - 1 : bits;
}

/** The value of a half; exact. */
export function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  // The same number as a float32: its exponent has 8 bits and a bias of 127 instead of 15.
  bitsView[0] = ((bits & 0x8000) << 16) | ((exponent + 112) << 23) | (mantissa << 13);
  return floatView[0];
}

function roundNormal(magnitude: number): number {
  // Adding 0xfff and the bit that decides ties carries into the kept bits exactly when the value must go up.
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return (rounded - (112 << 23)) >>> 13;
}

function roundSubnormal(magnitude: number): number {
  const exponent = magnitude >>> 23;
  // Below 2^-25 everything rounds to zero; 2^-25 itself is a tie and zero is even.
  if (exponent < 102) return 0;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - exponent;
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && kept & 1) ? kept + 1 : kept;
}
