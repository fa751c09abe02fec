/** Output features that are written at a time. */
export const OUTPUTS = 8;

/** Writes 8 output features of a row, as many as are `valid`: with the bias added, and added to what is there if wanted. */
// @ts-ignore: decorator
@inline
export function writeOutputs(out: usize, valid: i32, accumulate: bool, bias: usize, a: v128, b: v128): void {
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
