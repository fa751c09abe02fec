import { FLOAT_BLOCK_COLUMNS, FLOAT_STRIP_ROWS, STRIP_ROWS, TYPE_F32 } from './commands';
import { dequantizeColumns } from './dequantize-columns';
import { SUM_BYTES } from './multiply';
import { fill16, madd } from './simd';
import { writeStrip } from './write-outputs';

/** From a column of a strip's float32 weights to the next. */
const COLUMN_BYTES = 4 * STRIP_ROWS;

/**
 * One strip for all rows of x in float32, as exact as float32 is: a block of columns at a time, whose weights are made float32 once and stay in
 * the level-1 cache while the rows pass by. Within a block products are added column by column, then block by block: an order that
 * depends on the columns alone, so that a row has the same bits whether it is computed alone or with others.
 *
 * @param scratch a block's weights, then sums of FLOAT_STRIP_ROWS rows
 */
export function floatStrip(
  type: i32,
  w: usize,
  x: usize,
  numCols: i32,
  numRows: i32,
  out: usize,
  numOut: i32,
  valid: i32,
  accumulate: bool,
  bias: usize,
  scratch: usize,
): void {
  const stride = <usize>numCols << 2;
  const sums = scratch + FLOAT_BLOCK_COLUMNS * COLUMN_BYTES;
  for (let first = 0; first < numRows; first += FLOAT_STRIP_ROWS) {
    const count = min(FLOAT_STRIP_ROWS, numRows - first);
    const rows = x + <usize>first * stride;
    fill16(sums, f32x4.splat(0), <usize>(count * SUM_BYTES));
    for (let column = 0; column < numCols; column += FLOAT_BLOCK_COLUMNS) {
      const columns = min(FLOAT_BLOCK_COLUMNS, numCols - column);
      let block = w + <usize>(column * COLUMN_BYTES);
      if (type != TYPE_F32) {
        dequantizeColumns(type, w, column, columns, scratch);
        block = scratch;
      }
      addBlock(block, block + <usize>(columns * COLUMN_BYTES), rows + (<usize>column << 2), stride, count, sums);
    }
    writeStrip(sums, count, out + ((<usize>first * <usize>numOut) << 2), numOut, valid, accumulate, bias);
  }
}

/** sums[row] += the products of a row's columns with the weights from `w` to `end`, for `count` rows that are `stride` bytes apart. */
function addBlock(w: usize, end: usize, x: usize, stride: usize, count: i32, sums: usize): void {
  let row = 0;
  for (; row + 6 <= count; row += 6) {
    add6(w, end, x, stride, sums);
    add6(w + 32, end, x, stride, sums + 32);
    x += 6 * stride;
    sums += 6 * SUM_BYTES;
  }
  for (; row + 2 <= count; row += 2) {
    add2(w, end, x, stride, sums);
    add2(w + 32, end, x, stride, sums + 32);
    x += 2 * stride;
    sums += 2 * SUM_BYTES;
  }
  if (row < count) {
    add1(w, end, x, stride, sums);
    add1(w + 32, end, x, stride, sums + 32);
  }
}

/**
 * 8 output features of R rows, summed in registers. Two neighbouring quads of output features are side by side, which is what an engine with
 * 256-bit vectors puts together (docs/decisions/0004-wide-vectors.md). Long, since what it keeps in registers cannot be handed to functions and
 * back.
 */
// @ts-ignore: decorator
@inline
function addRows(R: i32, w: usize, end: usize, x: usize, stride: usize, sums: usize): void {
  let a0 = f32x4.splat(0), b0 = a0, a1 = a0, b1 = a0, a2 = a0, b2 = a0;
  let a3 = a0, b3 = a0, a4 = a0, b4 = a0, a5 = a0, b5 = a0;
  let x0 = x, x1 = x + stride, x2 = x + 2 * stride, x3 = x + 3 * stride, x4 = x + 4 * stride, x5 = x + 5 * stride;
  for (let p = w; p < end; p += COLUMN_BYTES) {
    const u = v128.load(p), v = v128.load(p, 16);
    const s0 = v128.load32_splat(x0);
    a0 = madd(s0, u, a0);
    b0 = madd(s0, v, b0);
    x0 += 4;
    if (R > 1) {
      const s1 = v128.load32_splat(x1);
      a1 = madd(s1, u, a1);
      b1 = madd(s1, v, b1);
      x1 += 4;
    }
    if (R > 2) {
      const s2 = v128.load32_splat(x2), s3 = v128.load32_splat(x3);
      a2 = madd(s2, u, a2);
      b2 = madd(s2, v, b2);
      a3 = madd(s3, u, a3);
      b3 = madd(s3, v, b3);
      x2 += 4;
      x3 += 4;
      const s4 = v128.load32_splat(x4), s5 = v128.load32_splat(x5);
      a4 = madd(s4, u, a4);
      b4 = madd(s4, v, b4);
      a5 = madd(s5, u, a5);
      b5 = madd(s5, v, b5);
      x4 += 4;
      x5 += 4;
    }
  }
  addTo(sums, a0, b0);
  if (R > 1) addTo(sums + SUM_BYTES, a1, b1);
  if (R > 2) {
    addTo(sums + 2 * SUM_BYTES, a2, b2);
    addTo(sums + 3 * SUM_BYTES, a3, b3);
    addTo(sums + 4 * SUM_BYTES, a4, b4);
    addTo(sums + 5 * SUM_BYTES, a5, b5);
  }
}

// @ts-ignore: decorator
@inline
function addTo(sum: usize, a: v128, b: v128): void {
  const c = f32x4.add(v128.load(sum), a), d = f32x4.add(v128.load(sum, 16), b);
  // The upper one first: V8 leaves a store too many otherwise.
  v128.store(sum, d, 16);
  v128.store(sum, c);
}

// A function for each number of rows, so that what differs between them is decided when this is compiled.
function add6(w: usize, end: usize, x: usize, stride: usize, sums: usize): void {
  addRows(6, w, end, x, stride, sums);
}
function add2(w: usize, end: usize, x: usize, stride: usize, sums: usize): void {
  addRows(2, w, end, x, stride, sums);
}
function add1(w: usize, end: usize, x: usize, stride: usize, sums: usize): void {
  addRows(1, w, end, x, stride, sums);
}
