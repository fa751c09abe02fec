import { floatBytes, loadFloat4 } from './packed-weights';
import { madd, sumLanes4F32 } from './simd';
import { OUTPUTS, writeOutputs } from './write-outputs';

/** Rows of a float strip follow one another. Four output features at a time, each summed over columns in four lanes. */
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
): void {
  const rowBytes = <usize>(numCols * floatBytes(type));
  for (let row = 0; row < numRows; row++) {
    const r = x + ((<usize>row * <usize>numCols) << 2);
    const target = out + ((<usize>row * <usize>numOut) << 2);
    for (let first = 0; first < valid; first += OUTPUTS) {
      const p = w + <usize>first * rowBytes;
      const a = floatQuad(type, p, rowBytes, r, numCols);
      const b = floatQuad(type, p + 4 * rowBytes, rowBytes, r, numCols);
      const offset = <usize>first << 2;
      writeOutputs(target + offset, valid - first, accumulate, bias ? bias + offset : 0, a, b);
    }
  }
}

function floatQuad(type: i32, w: usize, rowBytes: usize, x: usize, numCols: i32): v128 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  const step = <usize>(4 * floatBytes(type));
  let p = w;
  for (let i = 0; i < numCols; i += 4) {
    const v = v128.load(x + (<usize>i << 2));
    a = madd(v, loadFloat4(type, p), a);
    b = madd(v, loadFloat4(type, p + rowBytes), b);
    c = madd(v, loadFloat4(type, p + 2 * rowBytes), c);
    d = madd(v, loadFloat4(type, p + 3 * rowBytes), d);
    p += step;
  }
  return sumLanes4F32(a, b, c, d);
}
