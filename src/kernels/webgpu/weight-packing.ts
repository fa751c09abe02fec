import type { WeightType } from '../weight-types.ts';

/**
 * How weights of a type lie on the GPU (shaders/weights.wgsl). Codes are signed: those of 4 bits, in bytes of two, columns i and 16 + i of a group
 * of 32, others in a byte each. What codes of a type with minima count from is moved into the minimum. row-packers.ts packs them.
 */
export interface Packing {
  readonly codeBits: 4 | 8 | 16 | 32;
  /** CODE_BITS of the shader, which tells the two floats of 16 bits apart. */
  readonly codeKind: number;
  /** SCALES of the shader. */
  readonly scaleKind: 0 | 1 | 2;
  /** Of a group of 32 columns. */
  readonly scaleBytes: number;
}

const HALF_SCALE = { scaleKind: 0, scaleBytes: 2 } as const;
const SCALE_AND_MINIMUM = { scaleKind: 1, scaleBytes: 8 } as const;
const TWO_SCALES = { scaleKind: 2, scaleBytes: 8 } as const;
const NO_SCALE = { scaleKind: 0, scaleBytes: 0 } as const;
const NIBBLES = { codeBits: 4, codeKind: 4 } as const;
const BYTES = { codeBits: 8, codeKind: 8 } as const;

const PACKINGS: Readonly<Record<WeightType, Packing>> = {
  F32: { codeBits: 32, codeKind: 32, ...NO_SCALE },
  F16: { codeBits: 16, codeKind: 16, ...NO_SCALE },
  BF16: { codeBits: 16, codeKind: 17, ...NO_SCALE },
  Q4_0: { ...NIBBLES, ...HALF_SCALE },
  Q4_1: { ...NIBBLES, ...SCALE_AND_MINIMUM },
  Q5_0: { ...BYTES, ...HALF_SCALE },
  Q5_1: { ...BYTES, ...SCALE_AND_MINIMUM },
  Q8_0: { ...BYTES, ...HALF_SCALE },
  Q4_K: { ...NIBBLES, ...SCALE_AND_MINIMUM },
  Q5_K: { ...BYTES, ...SCALE_AND_MINIMUM },
  Q6_K: { ...BYTES, ...TWO_SCALES },
};

export function packingOf(type: WeightType): Packing {
  return PACKINGS[type];
}

/** Bytes that a matrix of `numElements` takes. */
export function packedBytes(type: WeightType, numElements: number): number {
  const { codeBits, scaleBytes } = PACKINGS[type];
  return (numElements * codeBits) / 8 + (numElements / 32) * scaleBytes;
}
