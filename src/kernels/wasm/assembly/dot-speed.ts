import { step, firstStep, widen } from './simd';

/** What `timeDots` reads at its address, and where it writes its sums after that. */
const NUM_BYTES: usize = 1024;

/**
 * What the host times to choose between builds, and to tell how fast dot products can be: `rounds` x 64 integer dot products of 16 bytes, as
 * the kernels do them, from the level-1 cache. Reads 1,024 bytes at `address` and writes 32 after them, so that nothing is optimized away.
 */
export function timeDots(address: usize, rounds: i32): void {
  const end = address + NUM_BYTES;
  const u0 = v128.load(address), u1 = v128.load(address, 16);
  const u2 = v128.load(address, 32), u3 = v128.load(address, 48);
  let left = i32x4.splat(0), right = i32x4.splat(0);
  for (let round = 0; round < rounds; round++) {
    for (let row = address; row < end; row += 128) {
      let a = firstStep(u0, v128.load(row)), b = firstStep(u1, v128.load(row, 16));
      a = step(u2, v128.load(row, 32), a);
      b = step(u3, v128.load(row, 48), b);
      a = step(u0, v128.load(row, 64), a);
      b = step(u1, v128.load(row, 80), b);
      a = step(u2, v128.load(row, 96), a);
      b = step(u3, v128.load(row, 112), b);
      left = i32x4.add(left, widen(a));
      right = i32x4.add(right, widen(b));
    }
  }
  v128.store(end, right, 16);
  v128.store(end, left);
}
