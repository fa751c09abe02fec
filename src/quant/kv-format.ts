import { KvantError } from '../errors.ts';
import type { CodeBits } from './bit-planes.ts';
import type { HeadTransforms } from './head-transform.ts';

/** Bits of one stored element of a sealed tile; 16 stands for IEEE half precision. */
export type TileBits = 16 | CodeBits;

export type TileKind = 'k' | 'v';

/** How the sealed tiles of K, or of V, are stored. */
export interface TileFormat {
  readonly bits: TileBits;
  /** Whether heads are multiplied by a Hadamard matrix before they are stored (see quant/hadamard.ts). */
  readonly rotate: boolean;
  /** Matrices that heads are multiplied by instead, from calibration. */
  readonly transforms?: HeadTransforms;
  /**
   * Only of K: [numLayers * numKvHeads, headDim, headDim], row-major, strictly lower triangles: how much of a channel's rounding error (the
   * row) the channels before it take when a tile is sealed.
   */
  readonly feedback?: Float32Array;
}

/** How a KV cache stores what has been sealed. One format serves a whole sequence. */
export interface KvFormat {
  /** Canonical name: `f16`, `q8`, `q4`, or `kAvB` where the two differ. */
  readonly name: string;
  readonly k: TileFormat;
  readonly v: TileFormat;
  /** Bits of each layer's tiles, where layers differ. */
  readonly layerBits?: readonly { readonly k: TileBits; readonly v: TileBits }[];
  /** Tokens in a page. */
  readonly pageSize: number;
  /**
   * The first tokens of a sequence, kept in f16 for good, since attention leans on them (attention sinks, arXiv
   * 2309.17453).
   */
  readonly numSinkTokens: number;
}

/** Measured in docs/decisions/0002-page-size.md; a multiple of 32, so that V rows of codes are whole words. */
export const PAGE_SIZE = 64;
/** Tokens that quantized formats keep in f16 for good. */
export const NUM_SINK_TOKENS = 4;

/** All spellings that `parseKvFormat` takes, for help texts and errors. */
export const KV_FORMAT_HELP =
  'f16, q8, q6, q5, q4, q3, q2, q1, or kAvB with A and B from 16, 8, 6, 5, 4, 3, 2, 1 (as in k6v4)';

/** Formats that a plan compares, the finest first. */
export const KV_FORMAT_LADDER: readonly string[] = ['f16', 'q8', 'k8v4', 'q4'];

/**
 * What `auto` chooses from, the finest first: the ladder without f16, which is no better than q8 in twice the memory and slower at long
 * contexts (README, tables of accuracy and speed), so that it is only taken where it is asked for.
 */
export const AUTO_KV_FORMATS: readonly string[] = KV_FORMAT_LADDER.filter((name) => name !== 'f16');

/**
 * Reads a format name such as `q4` or `k8v4`.
 *
 * Heads are rotated where their size is a power of two: a Hadamard rotation halves the loss there, while other sizes
 * can be rotated in smaller blocks only, which costs more than it gives when a few channels of K stand out.
 *
 * @param headDim channels of a head
 * @throws KvantError INVALID_OPTION for an unknown name
 */
export function parseKvFormat(name: string, headDim: number): KvFormat {
  const [kBits, vBits] = parseBits(name);
  const quantized = kBits < 16 || vBits < 16;
  const powerOfTwo = (headDim & (headDim - 1)) === 0;
  return {
    name: canonicalName(kBits, vBits),
    k: { bits: kBits, rotate: kBits < 16 && powerOfTwo },
    v: { bits: vBits, rotate: vBits < 16 && powerOfTwo },
    pageSize: PAGE_SIZE,
    numSinkTokens: quantized ? NUM_SINK_TOKENS : 0,
  };
}

/** Bits of a layer's tiles of one kind. */
export function tileBits(format: KvFormat, kind: TileKind, layer: number): TileBits {
  return format.layerBits?.[layer][kind] ?? format[kind].bits;
}

function parseBits(name: string): readonly [TileBits, TileBits] {
  if (name === 'f16') return [16, 16];
  const [, both] = /^q([8654321])$/.exec(name) ?? [];
  const [, k, v] = /^k(16|[8654321])v(16|[8654321])$/.exec(name) ?? [];
  const [kBits, vBits] = both === undefined ? [k, v] : [both, both];
  if (kBits === undefined) throw new KvantError('INVALID_OPTION', `unknown KV format "${name}": use ${KV_FORMAT_HELP}`);
  return [Number(kBits) as TileBits, Number(vBits) as TileBits];
}

function canonicalName(kBits: TileBits, vBits: TileBits): string {
  if (kBits !== vBits) return `k${kBits}v${vBits}`;
  return kBits === 16 ? 'f16' : `q${kBits}`;
}
