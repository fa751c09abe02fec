/**
 * What the host times to tell how fast memory can be read: reads `numBytes`, a multiple of 128, at `address`. The sum of its words is
 * returned so that nothing is optimized away.
 */
export function readBytes(address: usize, numBytes: i32): i32 {
  const end = address + <usize>numBytes;
  let a = i32x4.splat(0), b = i32x4.splat(0), c = i32x4.splat(0), d = i32x4.splat(0);
  let e = i32x4.splat(0), f = i32x4.splat(0), g = i32x4.splat(0), h = i32x4.splat(0);
  for (let at = address; at < end; at += 128) {
    a = i32x4.add(a, v128.load(at));
    b = i32x4.add(b, v128.load(at, 16));
    c = i32x4.add(c, v128.load(at, 32));
    d = i32x4.add(d, v128.load(at, 48));
    e = i32x4.add(e, v128.load(at, 64));
    f = i32x4.add(f, v128.load(at, 80));
    g = i32x4.add(g, v128.load(at, 96));
    h = i32x4.add(h, v128.load(at, 112));
  }
  const sum = i32x4.add(i32x4.add(i32x4.add(a, b), i32x4.add(c, d)), i32x4.add(i32x4.add(e, f), i32x4.add(g, h)));
  return i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
}
