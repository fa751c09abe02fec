import { packPlanes, unpackPlanes } from './bit-planes.ts';
import { quantizeRows, sumInLanes } from './row-quantizer.ts';
import { encodeByteScaled, readTileMeta, writeTileMeta } from './tile-meta.ts';
import { checkTileSpec, planeShape } from './tile-spec.ts';
import type { TileSpec } from './tile-spec.ts';

/** A quantized tile, as its bytes lie in a page. */
export interface SealedTile {
  readonly meta: Uint8Array;
  /** See bit-planes.ts; K's rows are tokens, V's are channels. */
  readonly planes: readonly Uint8Array[];
}

/** The least standard deviation that is divided by: what is constant must not divide by zero. */
const MIN_DEVIATION = Math.fround(1e-6);
const f32 = Math.fround;

/**
 * Quantizes a tile, float32 operation by operation as docs/page-format.md says under "Sealing": K with a factor per
 * token and a range per channel, V with a range per token. This is the oracle: others must give the same bytes.
 *
 * @param x [numTokens, headDim], token-major: the f16 values of an open page; no NaN
 * @param feedback of K, [headDim, headDim]: what channels take of the errors of later ones, from calibration
 * @throws RangeError if the length or the shape is not one of a tile
 */
export function sealTile(spec: TileSpec, x: Float32Array, feedback?: Float32Array): SealedTile {
  checkTileSpec(spec);
  const { kind, bits, numTokens, headDim } = spec;
  if (x.length !== numTokens * headDim) {
    throw new RangeError(`a ${kind} tile of ${numTokens} x ${headDim} has ${x.length} values`);
  }
  if (kind === 'v') {
    const { s, z, codes } = quantizeRows(kind, bits, x, headDim);
    const byChannel = transpose(codes, numTokens, headDim);
    return {
      meta: writeTileMeta(spec, { a: undefined, s, z }),
      planes: packPlanes(byChannel, bits, headDim, numTokens),
    };
  }
  const a = encodeByteScaled(tokenFactors(spec, x), 'up');
  const y = transpose(divideTokens(spec, x, a.values), numTokens, headDim);
  const { s, z, codes } = quantizeRows(kind, bits, y, numTokens, feedback);
  const byToken = transpose(codes, headDim, numTokens);
  return { meta: writeTileMeta(spec, { a, s, z }), planes: packPlanes(byToken, bits, numTokens, headDim) };
}

/**
 * The values of a sealed tile: a[t] * (s[c] * k + z[c]) for K, s[t] * v + z[t] for V, in float64.
 *
 * @returns [numTokens, headDim], token-major
 * @throws RangeError if a length is not that of the tile
 */
export function openTile(spec: TileSpec, tile: SealedTile): Float64Array {
  const { a, s, z } = readTileMeta(spec, tile.meta);
  const codes = tileCodes(spec, tile.planes);
  const values = new Float64Array(codes.length);
  for (let t = 0; t < spec.numTokens; t++) {
    const factor = a ? a.values[t] : 1;
    for (let c = 0; c < spec.headDim; c++) {
      const row = spec.kind === 'k' ? c : t;
      const i = t * spec.headDim + c;
      values[i] = factor * (s.values[row] * codes[i] + z.values[row]);
    }
  }
  return values;
}

/** The codes of a tile, all planes put together: [numTokens, headDim], token-major. @throws RangeError as `openTile` */
export function tileCodes(spec: TileSpec, planes: readonly Uint8Array[]): Uint8Array {
  checkTileSpec(spec);
  const { numRows, numCols } = planeShape(spec);
  const codes = unpackPlanes(planes, spec.bits, numRows, numCols);
  return spec.kind === 'k' ? codes : transpose(codes, numRows, numCols);
}

/** Steps 1 and 2: how large each token is, after each channel has been divided by its deviation over the tokens. */
function tokenFactors({ numTokens, headDim }: TileSpec, x: Float32Array): Float32Array {
  const deviations = channelDeviations(numTokens, headDim, x);
  const factors = new Float32Array(numTokens);
  const y = new Float32Array(headDim);
  for (let t = 0; t < numTokens; t++) {
    for (let c = 0; c < headDim; c++) y[c] = x[t * headDim + c] / deviations[c];
    const mean = f32(sumInLanes(y) / headDim);
    const squares = y.map((value) => f32(value - mean) * f32(value - mean));
    factors[t] = Math.max(f32(Math.sqrt(f32(sumInLanes(squares) / headDim))), MIN_DEVIATION);
  }
  return factors;
}

function channelDeviations(numTokens: number, headDim: number, x: Float32Array): Float32Array {
  const deviations = new Float32Array(headDim);
  for (let c = 0; c < headDim; c++) {
    let sum = 0;
    for (let t = 0; t < numTokens; t++) sum = f32(sum + x[t * headDim + c]);
    const mean = f32(sum / numTokens);
    let squares = 0;
    for (let t = 0; t < numTokens; t++) {
      const difference = f32(x[t * headDim + c] - mean);
      squares = f32(squares + f32(difference * difference));
    }
    deviations[c] = Math.max(f32(Math.sqrt(f32(squares / numTokens))), MIN_DEVIATION);
  }
  return deviations;
}

/** Step 4. */
function divideTokens({ headDim }: TileSpec, x: Float32Array, factors: Float32Array): Float32Array {
  const reciprocals = factors.map((factor) => 1 / factor);
  return x.map((value, i) => value * reciprocals[Math.floor(i / headDim)]);
}

function transpose<Matrix extends Uint8Array | Float32Array>(matrix: Matrix, numRows: number, numCols: number): Matrix {
  const result = matrix.slice();
  for (let row = 0; row < numRows; row++) {
    for (let col = 0; col < numCols; col++) result[col * numRows + row] = matrix[row * numCols + col];
  }
  return result as Matrix;
}
