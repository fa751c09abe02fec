import { KvantError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { F16_MAX, f16BitsClamped, f16Value } from './f16.ts';
import { checkTileOptions } from './granularity.ts';
import type { TileOptions } from './granularity.ts';
import { PAGE_SIZE } from './kv-format.ts';
import { invalidInput, sizeOfShape } from './tensor.ts';
import type { Tensor } from './tensor.ts';
import { checkTileSpec } from './tile-spec.ts';
import type { TileSpec } from './tile-spec.ts';
import { openTile, sealTile } from './tile.ts';
import type { SealedTile } from './tile.ts';

/**
 * Keys or values of one head, quantized page by page as the KV cache does it, without rotation. Plain data: it can be
 * cloned to a worker and serialised.
 */
export interface TiledTensor {
  readonly granularity: 'tile';
  /** [tokens, channels] */
  readonly shape: readonly number[];
  readonly bits: TileSpec['bits'];
  readonly kind: TileSpec['kind'];
  /** A page of 64 tokens each; the last has what is left, and its last token again up to a multiple of 32. */
  readonly tiles: readonly SealedTile[];
  /** Everything counted: codes, metadata and what fills up the last page. 0 for an empty tensor. */
  readonly bitsPerElement: number;
}

/** Tokens of a tile are a multiple of this. */
const TOKEN_MULTIPLE = 32;

/** Quantizes a checked tensor; `quantize` tells how, and what it throws. */
export function quantizeTiles({ data, shape }: Tensor, options: TileOptions): TiledTensor {
  checkTileOptions(options);
  const { bits, kind } = options;
  checkShape(shape);
  const beyond = data.findIndex((value) => Math.abs(value) > F16_MAX);
  if (beyond >= 0) {
    const fix = 'scale the tensor down or choose another granularity';
    throw invalidInput(
      `value ${data[beyond]} at index ${beyond} is beyond ${F16_MAX}, the most that tiles hold: ${fix}`,
    );
  }
  const specs = tileSpecs(shape, { kind, bits }, 'INVALID_OPTION');
  const tiles = specs.map((spec, page) => sealTile(spec, openPage(data, spec, page)));
  const numBytes = tiles
    .flatMap(({ meta, planes }) => [meta, ...planes])
    .reduce((sum, { byteLength }) => sum + byteLength, 0);
  const bitsPerElement = data.length === 0 ? 0 : (8 * numBytes) / data.length;
  return { granularity: 'tile', shape, bits, kind, tiles, bitsPerElement };
}

/** @throws KvantError INVALID_INPUT if fields do not fit each other */
export function dequantizeTiles({ shape, bits, kind, tiles }: TiledTensor): Tensor {
  const data = new Float32Array(sizeOfShape(shape));
  checkShape(shape);
  if (!['k', 'v'].includes(kind)) throw invalidInput(`a quantized tensor has no tiles of kind ${String(kind)}`);
  const specs = tileSpecs(shape, { kind, bits }, 'INVALID_INPUT');
  if (!Array.isArray(tiles) || tiles.length !== specs.length) {
    throw invalidInput(`tiles must be a list of ${specs.length}, one for each ${PAGE_SIZE} tokens`);
  }
  specs.forEach((spec, page) => {
    const start = page * PAGE_SIZE * spec.headDim;
    data.set(valuesOf(spec, tiles[page] as SealedTile, page).subarray(0, data.length - start), start);
  });
  return { data, shape: [...shape] };
}

/** @throws KvantError INVALID_INPUT if that is no such tile, or its metadata stand for NaN or what float32 does not hold */
function valuesOf(spec: TileSpec, tile: SealedTile, page: number): Float32Array {
  try {
    const values = Float32Array.from(openTile(spec, tile));
    if (!values.every(Number.isFinite)) throw new RangeError('its metadata are not finite');
    return values;
  } catch (cause) {
    throw new KvantError('INVALID_INPUT', `tile ${page}: ${messageOf(cause)}`, { cause });
  }
}

function checkShape(shape: readonly number[]): void {
  if (shape.length !== 2) {
    throw invalidInput(`tiles hold a tensor [tokens, channels], not one of shape [${shape.join(', ')}]`);
  }
}

/** The tiles of a tensor; none for an empty one. @throws KvantError of that code if there are no such tiles */
function tileSpecs(
  [numTokens, headDim]: readonly number[],
  { kind, bits }: Pick<TileSpec, 'kind' | 'bits'>,
  code: ErrorCode,
): TileSpec[] {
  const specOf = (tokens: number): TileSpec => ({
    kind,
    bits,
    numTokens: TOKEN_MULTIPLE * Math.ceil(tokens / TOKEN_MULTIPLE),
    headDim,
  });
  try {
    checkTileSpec({ ...specOf(PAGE_SIZE), headDim: Math.max(headDim, 1) });
  } catch (cause) {
    throw new KvantError(code, messageOf(cause), { cause });
  }
  const numPages = headDim === 0 ? 0 : Math.ceil(numTokens / PAGE_SIZE);
  return Array.from({ length: numPages }, (_, page) => specOf(Math.min(PAGE_SIZE, numTokens - page * PAGE_SIZE)));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The values of a page as an open page holds them, in f16; a token that is not there is like the last one. */
function openPage(data: Float32Array, { numTokens, headDim }: TileSpec, page: number): Float32Array {
  const lastToken = data.length / headDim - 1;
  return Float32Array.from({ length: numTokens * headDim }, (_, i) => {
    const token = Math.min(page * PAGE_SIZE + Math.floor(i / headDim), lastToken);
    return f16Value(f16BitsClamped(data[token * headDim + (i % headDim)]));
  });
}
