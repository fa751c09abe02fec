import { COMMAND_ARGUMENTS, STRIP_ROWS, TYPE_F32 } from './commands';
import { floatStrip } from './float-strip';
import { multiplyRows, SUM_BYTES } from './multiply';
import { dequantizeRow, isFloat, stripBytes } from './packed-weights';
import { quantizedRowBytes } from './row-quantize';
import { OUTPUTS, writeOutputs } from './write-outputs';

/**
 * out = x W^T (+ bias), or out += x W^T. The work item is a strip of 16 output features, for all rows of x.
 * Arguments: weights, type, columns, output features, x as float32, x quantized, out, rows of x, accumulate, bias (0: none).
 *
 * Within 16 columns sums are integers, hence exact; these are added in order. So a row has the same bits whether it
 * is computed alone or with others. Where x has not been quantized, the weights are dequantized and everything is float32: slow, and
 * as exact as float32 is.
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
    if (isFloat(type)) {
      floatStrip(type, w, floats, numCols, numRows, target, numOut, valid, accumulate, b);
    } else if (quantized) {
      quantizedStrip(type, w, quantized, numCols, numRows, target, numOut, valid, accumulate, b, scratch);
    } else {
      const rowBytes = <usize>numCols << 2;
      for (let row = 0; row < STRIP_ROWS; row++) dequantizeRow(type, w, row, numCols, scratch + <usize>row * rowBytes);
      floatStrip(TYPE_F32, scratch, floats, numCols, numRows, target, numOut, valid, accumulate, b);
    }
  }
}

/** One strip for all rows of x: several at a time, so that unpacked weights are used again. */
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
  for (let first = 0; first < numRows; first += ROWS_AT_ONCE) {
    const count = min(ROWS_AT_ONCE, numRows - first);
    multiplyRows(type, w, x + <usize>first * stride, stride, numCols, count, sums);
    for (let row = 0; row < count; row++) {
      const sum = sums + <usize>(row * SUM_BYTES);
      const target = out + <usize>(first + row) * outStride;
      writeOutputs(target, valid, accumulate, bias, v128.load(sum), v128.load(sum, 16));
      if (valid > OUTPUTS) {
        const next = bias ? bias + 4 * OUTPUTS : 0;
        const a = v128.load(sum, 32), b = v128.load(sum, 48);
        writeOutputs(target + 4 * OUTPUTS, valid - OUTPUTS, accumulate, next, a, b);
      }
    }
  }
}

/** Rows of x that share unpacked weights: their codes fit the level-1 cache at usual widths. */
const ROWS_AT_ONCE = 16;
