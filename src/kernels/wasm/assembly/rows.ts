import { constant, ONE } from './constants';
import { COMMAND_ARGUMENTS, ROW_BYTES, ROW_TOKEN } from './commands';
import { dequantizeRow } from './packed-weights';
import { quantizedRowBytes, quantizeRow } from './row-quantize';
import { exp4, madd, maxMagnitude, maxMagnitudeLanes, sumLanes } from './simd';

/** Operations on single rows; the work item is a row. */

/** Arguments: table, type, columns, row descriptions, out. */
export function embedRows(command: usize, begin: i32, end: i32): void {
  const args = command + COMMAND_ARGUMENTS;
  const numCols = load<i32>(args, 8);
  const rows = <usize>load<u32>(args, 12);
  const out = <usize>load<u32>(args, 16);
  for (let row = begin; row < end; row++) {
    const token = load<i32>(rows + <usize>(row * ROW_BYTES + ROW_TOKEN));
    dequantizeRow(load<i32>(args, 4), <usize>load<u32>(args), token, numCols, out + ((<usize>row * <usize>numCols) << 2));
  }
}

/** Arguments: x, weight, width, epsilon, out as float32, out quantized (0: none). */
export function rmsNormRows(command: usize, begin: i32, end: i32): void {
  const args = command + COMMAND_ARGUMENTS;
  const weight = <usize>load<u32>(args, 4);
  const width = load<i32>(args, 8);
  const epsilon = load<f32>(args, 12);
  const quantized = <usize>load<u32>(args, 20);
  for (let row = begin; row < end; row++) {
    const offset = (<usize>row * <usize>width) << 2;
    const x = <usize>load<u32>(args) + offset;
    const out = <usize>load<u32>(args, 16) + offset;
    rmsNorm(x, weight, width, epsilon, out);
    if (quantized) quantizeRow(out, quantized + <usize>row * <usize>quantizedRowBytes(width), width);
  }
}

/** Arguments: x, which is changed in place, weight, width, epsilon, channels of a head. */
export function normHeadRows(command: usize, begin: i32, end: i32): void {
  const args = command + COMMAND_ARGUMENTS;
  const weight = <usize>load<u32>(args, 4);
  const rowBytes = <usize>load<u32>(args, 8) << 2;
  const epsilon = load<f32>(args, 12);
  const headDim = load<i32>(args, 16);
  const headBytes = <usize>headDim << 2;
  for (let row = begin; row < end; row++) {
    const first = <usize>load<u32>(args) + <usize>row * rowBytes;
    for (let head = first; head < first + rowBytes; head += headBytes) rmsNorm(head, weight, headDim, epsilon, head);
  }
}

/** `out` may be `x`. */
function rmsNorm(x: usize, weight: usize, width: i32, epsilon: f32, out: usize): void {
  const bytes = <usize>width << 2;
  // Scaled down where squares would leave float32's range.
  let largest = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) largest = maxMagnitude(largest, v128.load(x + i));
  const amax = maxMagnitudeLanes(largest);
  const unit: f32 = amax > 1e15 ? 1e-20 : 1;
  const units = f32x4.splat(unit);
  let squares = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = f32x4.mul(v128.load(x + i), units);
    squares = madd(v, v, squares);
  }
  const mean = sumLanes(squares) / <f32>width + epsilon * unit * unit;
  const scale = f32x4.splat(unit / sqrt<f32>(mean));
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(out + i, f32x4.mul(f32x4.mul(v128.load(x + i), scale), v128.load(weight + i)));
  }
}

/** Arguments: gate, up, width, out as float32, out quantized (0: none). */
export function swiGluRows(command: usize, begin: i32, end: i32): void {
  const args = command + COMMAND_ARGUMENTS;
  const width = load<i32>(args, 8);
  const bytes = <usize>width << 2;
  const quantized = <usize>load<u32>(args, 16);
  for (let row = begin; row < end; row++) {
    const offset = <usize>row * bytes;
    const gate = <usize>load<u32>(args) + offset;
    const up = <usize>load<u32>(args, 4) + offset;
    const out = <usize>load<u32>(args, 12) + offset;
    const one = constant(ONE);
    for (let i: usize = 0; i < bytes; i += 16) {
      const x = v128.load(gate + i);
      const silu = f32x4.div(x, f32x4.add(one, exp4(f32x4.sub(f32x4.splat(0), x))));
      v128.store(out + i, f32x4.mul(silu, v128.load(up + i)));
    }
    if (quantized) quantizeRow(out, quantized + <usize>row * <usize>quantizedRowBytes(width), width);
  }
}

/** Arguments: x, list of row numbers, width, out. */
export function selectRows(command: usize, begin: i32, end: i32): void {
  const args = command + COMMAND_ARGUMENTS;
  const list = <usize>load<u32>(args, 4);
  const bytes = <usize>load<u32>(args, 8) << 2;
  for (let i = begin; i < end; i++) {
    const row = <usize>load<u32>(list + (<usize>i << 2));
    memory.copy(<usize>load<u32>(args, 12) + <usize>i * bytes, <usize>load<u32>(args) + row * bytes, bytes);
  }
}
