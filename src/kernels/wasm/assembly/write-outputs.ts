import { SUM_BYTES } from './multiply';

/** Output features that are written at a time. */
const OUTPUTS = 8;

/** Writes the sums of a strip, SUM_BYTES of each row, to `count` rows of `numOut` output features. */
export function writeStrip(
  sums: usize,
  count: i32,
  out: usize,
  numOut: i32,
  valid: i32,
  accumulate: bool,
  bias: usize,
): void {
  for (let row = 0; row < count; row++) {
    const sum = sums + <usize>(row * SUM_BYTES);
    const target = out + ((<usize>row * <usize>numOut) << 2);
    writeOutputs(target, valid, accumulate, bias, v128.load(sum), v128.load(sum, 16));
    if (valid > OUTPUTS) {
      const next = bias ? bias + 4 * OUTPUTS : 0;
      const a = v128.load(sum, 32), b = v128.load(sum, 48);
      writeOutputs(target + 4 * OUTPUTS, valid - OUTPUTS, accumulate, next, a, b);
    }
  }
}

/** Writes 8 output features of a row, as many as are `valid`: with the bias added, and added to what is there if wanted. */
// @ts-ignore: decorator
@inline
function writeOutputs(out: usize, valid: i32, accumulate: bool, bias: usize, a: v128, b: v128): void {
  if (valid >= OUTPUTS) {
    let c = a, d = b;
    if (bias) {
      c = f32x4.add(c, v128.load(bias));
      d = f32x4.add(d, v128.load(bias, 16));
    }
    if (accumulate) {
      c = f32x4.add(v128.load(out), c);
      d = f32x4.add(v128.load(out, 16), d);
    }
    v128.store(out, d, 16);
    v128.store(out, c);
  } else {
    for (let i = 0; i < valid; i++) {
      let value = laneOf(a, b, i);
      if (bias) value += load<f32>(bias + (<usize>i << 2));
      const address = out + (<usize>i << 2);
      store<f32>(address, accumulate ? load<f32>(address) + value : value);
    }
  }
}

// @ts-ignore: decorator
@inline
function laneOf(a: v128, b: v128, i: i32): f32 {
  const v = i < 4 ? a : b;
  const lane = i & 3;
  if (lane == 0) return f32x4.extract_lane(v, 0);
  if (lane == 1) return f32x4.extract_lane(v, 1);
  if (lane == 2) return f32x4.extract_lane(v, 2);
  return f32x4.extract_lane(v, 3);
}
