import { loadU8x4AsF32, maxLanes, minLanes, sumLanes } from './simd';
import { decodeMeta } from './tile-codes';
import { codes, scores, sums } from './tile-scratch';

/**
 * Steps 5 to 7 of sealing (docs/page-format.md): rows are quantized with a scale and a zero point each. Every operation is one float32
 * operation in the order written there, never fused, so that the bytes are those of every other implementation.
 */

/** Rules of quant/row-quantizer.ts: how far a row's range is narrowed about its mean. */
// @ts-ignore: decorator
@inline
function rangeFactor(isKey: bool, bits: i32): f32 {
  if (isKey) return bits == 2 ? 0.9 : bits == 1 ? 0.75 : 1;
  return bits == 3 ? 0.9 : bits <= 2 ? 0.75 : 1;
}

/** Codes of up to so many bits are spread by these rules. */
const MOST_SPREAD_BITS = 3;

/** How values become bytes of metadata. */
const DOWN = 0;
export const UP = 1;
const NEAREST = 2;

/**
 * Quantizes rows of `numCols` values: `codes` gets their codes, a byte each, row by row; the metadata at `header` (s, then z) and the two
 * lists of bytes are written.
 *
 * @param y [numRows, numCols]
 * @param scale room for numRows float32, as `zero` has
 * @param feedback [numRows, numRows] float32, or 0
 * @param moves room for [numRows, numCols] where there is feedback
 */
export function quantizeRows(
  isKey: bool,
  bits: i32,
  y: usize,
  numRows: i32,
  numCols: i32,
  scale: usize,
  zero: usize,
  feedback: usize,
  moves: usize,
  header: usize,
  scaleBytes: usize,
  zeroBytes: usize,
): void {
  const spread = bits <= MOST_SPREAD_BITS;
  if (bits == 1) feedback = 0;
  const maxCode = f32x4.splat(<f32>((1 << bits) - 1));
  rowRanges(y, numRows, numCols, spread && !feedback ? rangeFactor(isKey, bits) : 1, scale, zero);
  if (!spread) encodeMeta(zero, numRows, DOWN, header + 8, zeroBytes);
  for (let i: usize = 0; i < <usize>numRows << 2; i += 16) {
    v128.store(scale + i, f32x4.div(f32x4.sub(v128.load(scale + i), v128.load(zero + i)), maxCode));
  }
  if (!spread) encodeMeta(scale, numRows, UP, header, scaleBytes);
  chooseCodes(y, numRows, numCols, scale, zero, maxCode, feedback, moves);
  if (spread) {
    fitRows(isKey && !feedback, y, numRows, numCols, scale, zero);
    encodeMeta(scale, numRows, NEAREST, header, scaleBytes);
    for (let i: usize = 0; i < <usize>numRows << 2; i += 16) {
      v128.store(zero + i, f32x4.sub(v128.load(zero + i), f32x4.mul(v128.load(scale + i), v128.load(sums + i))));
    }
    encodeMeta(zero, numRows, NEAREST, header + 8, zeroBytes);
  }
}

/** Least value of each row to `zero`, greatest to `scale`; moved towards the row's mean unless the factor is 1. */
function rowRanges(y: usize, numRows: i32, numCols: i32, factor: f32, scale: usize, zero: usize): void {
  const rowBytes = <usize>numCols << 2;
  for (let row: usize = 0; row < <usize>numRows; row++) {
    const values = y + row * rowBytes;
    let least = v128.load(values);
    let most = least;
    for (let i: usize = 16; i < rowBytes; i += 16) {
      least = f32x4.min(least, v128.load(values + i));
      most = f32x4.max(most, v128.load(values + i));
    }
    let lo = minLanes(least), hi = maxLanes(most);
    if (factor != 1) {
      const mean = rowSum(values, rowBytes) / <f32>numCols;
      lo = mean + (lo - mean) * factor;
      hi = mean + (hi - mean) * factor;
    }
    store<f32>(zero + (row << 2), lo);
    store<f32>(scale + (row << 2), hi);
  }
}

// @ts-ignore: decorator
@inline
function rowSum(values: usize, rowBytes: usize): f32 {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < rowBytes; i += 16) sum = f32x4.add(sum, v128.load(values + i));
  return sumLanes(sum);
}

/** Rows from the last to the first: with feedback, each is moved by what the errors of those after it ask for. */
function chooseCodes(
  y: usize,
  numRows: i32,
  numCols: i32,
  scale: usize,
  zero: usize,
  maxCode: v128,
  feedback: usize,
  moves: usize,
): void {
  const rowBytes = <usize>numCols << 2;
  if (feedback) memory.fill(moves, 0, <usize>numRows * rowBytes);
  for (let row = <usize>numRows - 1; row < <usize>numRows; row--) {
    const s = load<f32>(scale + (row << 2));
    const inverse = f32x4.splat(s == 0 ? 0 : 1 / s);
    const z = v128.load32_splat(zero + (row << 2));
    const values = y + row * rowBytes, moved = moves + row * rowBytes;
    for (let col: usize = 0; col < <usize>numCols; col += 16) {
      const at = col << 2;
      const a = code4(values, moved, at, feedback, z, inverse, maxCode);
      const b = code4(values, moved, at + 16, feedback, z, inverse, maxCode);
      const c = code4(values, moved, at + 32, feedback, z, inverse, maxCode);
      const d = code4(values, moved, at + 48, feedback, z, inverse, maxCode);
      const bytes = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
      v128.store(codes + row * <usize>numCols + col, bytes);
      if (feedback) {
        storeError(a, s, z, values, at);
        storeError(b, s, z, values, at + 16);
        storeError(c, s, z, values, at + 32);
        storeError(d, s, z, values, at + 48);
      }
    }
    if (feedback) takeErrors(moves, row, rowBytes, feedback + ((row * <usize>numRows) << 2));
  }
}

// @ts-ignore: decorator
@inline
function code4(values: usize, moved: usize, at: usize, feedback: usize, z: v128, inverse: v128, maxCode: v128): v128 {
  let target = v128.load(values + at);
  if (feedback) target = f32x4.sub(target, v128.load(moved + at));
  const steps = f32x4.add(f32x4.mul(f32x4.sub(target, z), inverse), f32x4.splat(0.5));
  return i32x4.trunc_sat_f32x4_s(f32x4.max(f32x4.min(steps, maxCode), f32x4.splat(0)));
}

/** The errors of the row at hand lie in `scores`. */
// @ts-ignore: decorator
@inline
function storeError(code: v128, s: f32, z: v128, values: usize, at: usize): void {
  const decoded = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(code), f32x4.splat(s)), z);
  v128.store(scores + at, f32x4.sub(decoded, v128.load(values + at)));
}

/** moves[before] += factors[before] * errors, for every row before. */
function takeErrors(moves: usize, row: usize, rowBytes: usize, factors: usize): void {
  for (let before: usize = 0; before < row; before++) {
    const factor = v128.load32_splat(factors + (before << 2));
    const target = moves + before * rowBytes;
    for (let i: usize = 0; i < rowBytes; i += 16) {
      v128.store(target + i, f32x4.add(v128.load(target + i), f32x4.mul(factor, v128.load(scores + i))));
    }
  }
}

/** Fits each row's scale to its codes. `zero` gets the mean of the values, `sums` that of the codes. */
function fitRows(geometric: bool, y: usize, numRows: i32, numCols: i32, scale: usize, zero: usize): void {
  const rowBytes = <usize>numCols << 2;
  for (let row: usize = 0; row < <usize>numRows; row++) {
    const values = y + row * rowBytes;
    const ofRow = codes + row * <usize>numCols;
    let sum = f32x4.splat(0);
    for (let col: usize = 0; col < <usize>numCols; col += 4) sum = f32x4.add(sum, loadU8x4AsF32(ofRow + col));
    const mean = rowSum(values, rowBytes) / <f32>numCols;
    const meanCode = sumLanes(sum) / <f32>numCols;
    let yy = f32x4.splat(0), yk = yy, kk = yy;
    for (let col: usize = 0; col < <usize>numCols; col += 4) {
      const dy = f32x4.sub(v128.load(values + (col << 2)), f32x4.splat(mean));
      const dk = f32x4.sub(loadU8x4AsF32(ofRow + col), f32x4.splat(meanCode));
      yy = f32x4.add(yy, f32x4.mul(dy, dy));
      yk = f32x4.add(yk, f32x4.mul(dy, dk));
      kk = f32x4.add(kk, f32x4.mul(dk, dk));
    }
    const chosen = load<f32>(scale + (row << 2));
    store<f32>(scale + (row << 2), fittedScale(geometric, sumLanes(yy), sumLanes(yk), sumLanes(kk), chosen));
    store<f32>(zero + (row << 2), mean);
    store<f32>(sums + (row << 2), meanCode);
  }
}

function fittedScale(geometric: bool, yy: f32, yk: f32, kk: f32, chosen: f32): f32 {
  if (!(yk > 0 && kk > 0)) return chosen;
  const fitted = geometric ? sqrt<f32>(yy / kk) : yy / yk;
  return min<f32>(max<f32>(fitted, chosen * 0.5), chosen * 2.5);
}

/** Values to bytes, rounded to whole steps above the least; then the values become the decoded ones. */
export function encodeMeta(values: usize, count: i32, rounding: i32, header: usize, bytes: usize): void {
  let least = v128.load(values);
  let greatest = least;
  for (let i: usize = 16; i < <usize>count << 2; i += 16) {
    least = f32x4.min(least, v128.load(values + i));
    greatest = f32x4.max(greatest, v128.load(values + i));
  }
  const lo = minLanes(least);
  const step: f32 = (maxLanes(greatest) - lo) / 255;
  store<f32>(header, lo);
  store<f32>(header + 4, step);
  for (let i = 0; i < count; i++) {
    let code: f32 = 0;
    if (step != 0) {
      const steps: f32 = (load<f32>(values + (<usize>i << 2)) - lo) / step;
      code = min<f32>(255, rounding == UP ? ceil<f32>(steps) : trunc<f32>(rounding == NEAREST ? steps + 0.5 : steps));
    }
    store<u8>(bytes + <usize>i, <u8>code);
  }
  decodeMeta(bytes, header, count, values);
}
