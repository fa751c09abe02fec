import { K_HEADER_BYTES, tileMetaBytes, V_HEADER_BYTES } from './tile-spec.ts';
import type { TileSpec } from './tile-spec.ts';

/**
 * Float32 values stored as bytes: a byte m stands for lo + step * m, the product and the sum each rounded to float32.
 */
export interface ByteScaled {
  readonly lo: number;
  readonly step: number;
  readonly codes: Uint8Array;
  /** What the codes stand for. */
  readonly values: Float32Array;
}

/**
 * Metadata of a tile. K: `a` per token, `s` and `z` per channel. V: `s` and `z` per token, no `a`. Value of code k: a *
 * (s * k + z).
 */
export interface TileMeta {
  readonly a: ByteScaled | undefined;
  readonly s: ByteScaled;
  readonly z: ByteScaled;
}

const ROUNDINGS = {
  down: Math.trunc,
  up: Math.ceil,
  nearest: (steps: number): number => Math.trunc(Math.fround(steps + 0.5)),
};

/** Stores values as bytes, each rounded to a multiple of the step above the least. Float32 throughout. */
export function encodeByteScaled(values: Float32Array, rounding: keyof typeof ROUNDINGS): ByteScaled {
  let lo = Infinity;
  let hi = -Infinity;
  for (const value of values) {
    lo = Math.min(lo, value);
    hi = Math.max(hi, value);
  }
  const step = Math.fround(Math.fround(hi - lo) / 255);
  const round = ROUNDINGS[rounding];
  const codes = new Uint8Array(values.length);
  if (step !== 0) {
    values.forEach((value, i) => {
      codes[i] = Math.min(255, round(Math.fround(Math.fround(value - lo) / step)));
    });
  }
  return decodeByteScaled(lo, step, codes);
}

function decodeByteScaled(lo: number, step: number, codes: Uint8Array): ByteScaled {
  const values = Float32Array.from(codes, (code) => lo + Math.fround(step * code));
  return { lo, step, codes, values };
}

/** Metadata as docs/page-format.md lays it out: float32 headers, then the codes of a (K only), s and z, then zeros. */
export function writeTileMeta(spec: TileSpec, meta: TileMeta): Uint8Array {
  const bytes = new Uint8Array(tileMetaBytes(spec));
  const view = new DataView(bytes.buffer);
  const fields = [meta.a, meta.s, meta.z].filter((field) => field !== undefined);
  let offset = spec.kind === 'k' ? K_HEADER_BYTES : V_HEADER_BYTES;
  fields.forEach((field, i) => {
    view.setFloat32(8 * i, field.lo, true);
    view.setFloat32(8 * i + 4, field.step, true);
    bytes.set(field.codes, offset);
    offset += field.codes.length;
  });
  return bytes;
}

/** Reads what `writeTileMeta` wrote. @throws RangeError if the length is not that of the tile's metadata */
export function readTileMeta(spec: TileSpec, bytes: Uint8Array): TileMeta {
  if (bytes.length !== tileMetaBytes(spec)) {
    throw new RangeError(`metadata of a ${spec.kind} tile: ${bytes.length} bytes, not ${tileMetaBytes(spec)}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let offset = spec.kind === 'k' ? K_HEADER_BYTES : V_HEADER_BYTES;
  const field = (index: number, length: number): ByteScaled => {
    const codes = bytes.slice(offset, offset + length);
    offset += length;
    return decodeByteScaled(view.getFloat32(8 * index, true), view.getFloat32(8 * index + 4, true), codes);
  };
  const { numTokens, headDim } = spec;
  if (spec.kind === 'v') return { a: undefined, s: field(0, numTokens), z: field(1, numTokens) };
  return { a: field(0, numTokens), s: field(1, headDim), z: field(2, headDim) };
}
