/** A float format of a byte or less that has a sign bit above its magnitudes. */
export interface SmallFloat {
  /** Value of each magnitude code, ascending from 0. */
  readonly magnitudes: readonly number[];
  /** Bit of the sign. */
  readonly signBit: number;
}

/**
 * Finite magnitudes of a format with that many fraction bits: denormals first, then (1 + fraction) * 2^exponent from the
 * least exponent on.
 */
export function smallFloat(numMagnitudes: number, fractionBits: number, leastExponent: number): SmallFloat {
  const perExponent = 2 ** fractionBits;
  const magnitudes = Array.from({ length: numMagnitudes }, (_, code) => {
    const exponent = Math.floor(code / perExponent);
    const fraction = (code % perExponent) / perExponent;
    return exponent === 0 ? fraction * 2 ** leastExponent : (1 + fraction) * 2 ** (leastExponent + exponent - 1);
  });
  return { magnitudes, signBit: 2 ** Math.ceil(Math.log2(numMagnitudes)) };
}

/**
 * Code of the nearest value, ties to the even code; what lies beyond the largest, infinities included, becomes it.
 *
 * @param value no NaN
 */
export function encodeSmallFloat({ magnitudes, signBit }: SmallFloat, value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? signBit : 0;
  const magnitude = Math.abs(value);
  let low = 0;
  let high = magnitudes.length - 1;
  if (magnitude >= magnitudes[high]) return sign | high;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (magnitudes[middle] <= magnitude) low = middle;
    else high = middle;
  }
  const [below, above] = [magnitude - magnitudes[low], magnitudes[high] - magnitude];
  const goesUp = above < below || (above === below && low % 2 === 1);
  return sign | (goesUp ? high : low);
}

/** @param code of a finite value */
export function decodeSmallFloat({ magnitudes, signBit }: SmallFloat, code: number): number {
  return code & signBit ? -magnitudes[code ^ signBit] : magnitudes[code];
}
