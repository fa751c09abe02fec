/**
 * Multiplies a head by the Walsh-Hadamard matrix of its size over the root of its size, in place: strides 1, 2, 4, ..., then one
 * multiplication (docs/page-format.md). `d` is a power of two, at least 16.
 */
export function rotateHead(x: usize, d: i32): void {
  const bytes = <usize>d << 2;
  for (let i: usize = 0; i < bytes; i += 16) {
    let v = v128.load(x + i);
    v = butterfly(v, i8x16.shuffle(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11), 0xaa);
    v = butterfly(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7), 0xcc);
    v128.store(x + i, v);
  }
  for (let stride: usize = 16; stride < bytes; stride <<= 1) {
    for (let block: usize = 0; block < bytes; block += 2 * stride) {
      for (let i: usize = block; i < block + stride; i += 16) {
        const a = v128.load(x + i);
        const b = v128.load(x + i + stride);
        v128.store(x + i, f32x4.add(a, b));
        v128.store(x + i + stride, f32x4.sub(a, b));
      }
    }
  }
  const scale = f32x4.splat(1 / sqrt<f32>(<f32>d));
  for (let i: usize = 0; i < bytes; i += 16) v128.store(x + i, f32x4.mul(v128.load(x + i), scale));
}

/** Lanes with their partner: sum where the lane is the pair's first, partner - lane where it is the second. */
// @ts-ignore: decorator
@inline
function butterfly(v: v128, partner: v128, kind: i32): v128 {
  const second = kind == 0xaa ? i32x4(0, -1, 0, -1) : i32x4(0, 0, -1, -1);
  return v128.bitselect(f32x4.sub(partner, v), f32x4.add(v, partner), second);
}
