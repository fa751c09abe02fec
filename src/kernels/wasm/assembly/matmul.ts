import { COMMAND_ARGUMENTS, STRIP_ROWS } from './commands';
import { floatStrip } from './float-strip';
import { multiplyRows } from './multiply';
import { isFloat, stripBytes } from './packed-weights';
import { quantizedRowBytes } from './row-quantize';
import { writeStrip } from './write-outputs';

/**
 * out = x W^T (+ bias), or out += x W^T. The work item is a strip of 16 output features, for all rows of x.
 * Arguments: weights, type, columns, output features, x as float32, x quantized, out, rows of x, accumulate, bias (0: none).
 *
 * Within 16 columns sums are integers, hence exact; these are added in order. So a row has the same bits whether it
 * is computed alone or with others. Where x has not been quantized, the weights are dequantized and everything is float32.
 */
export function matmulStrips(command: usize, begin: i32, end: i32, scratch: usize): void {
  const args = command + COMMAND_ARGUMENTS;
  const weights = <usize>load<u32>(args);
  const type = load<i32>(args, 4);
  const numCols = load<i32>(args, 8);
  const numOut = load<i32>(args, 12);
  const floats = <usize>load<u32>(args, 16);
  const quantized = <usize>load<u32>(args, 20);
  const out = <usize>load<u32>(args, 24);
  const numRows = load<i32>(args, 28);
  const accumulate = load<i32>(args, 32) != 0;
  const bias = <usize>load<u32>(args, 36);
  const bytes = <usize>stripBytes(type, numCols);
  for (let strip = begin; strip < end; strip++) {
    const first = strip * STRIP_ROWS;
    const target = out + (<usize>first << 2);
    const b = bias ? bias + (<usize>first << 2) : 0;
    const w = weights + <usize>strip * bytes;
    const valid = min(STRIP_ROWS, numOut - first);
    if (quantized && !isFloat(type)) {
      quantizedStrip(type, w, quantized, numCols, numRows, target, numOut, valid, accumulate, b, scratch);
    } else {
      floatStrip(type, w, floats, numCols, numRows, target, numOut, valid, accumulate, b, scratch);
    }
  }
}

/** One strip for all rows of x: several at a time, so that unpacked weights are used again, and as many each time. */
function quantizedStrip(
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
  sums: usize,
): void {
  const stride = <usize>quantizedRowBytes(numCols);
  const outStride = <usize>numOut << 2;
  const numPasses = (numRows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
  const rowsAtOnce = (numRows + numPasses - 1) / numPasses;
  for (let first = 0; first < numRows; first += rowsAtOnce) {
    const count = min(rowsAtOnce, numRows - first);
    multiplyRows(type, w, x + <usize>first * stride, stride, numCols, count, sums);
    writeStrip(sums, count, out + <usize>first * outStride, numOut, valid, accumulate, bias);
  }
}

/** Rows of x that share unpacked weights: their codes fit the level-1 cache at usual widths. */
const ROWS_AT_ONCE = 24;
