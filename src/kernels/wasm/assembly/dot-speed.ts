import { step, widen } from './simd';

/**
 * What the host times to choose between builds: `rounds` x 64 integer dot products of 16, as the kernels do them. Reads 256 bytes at
 * `address`. The sum is returned so that nothing is optimized away.
 */
export function timeDots(address: usize, rounds: i32): i32 {
  let total = i32x4.splat(0);
  for (let round = 0; round < rounds; round++) {
    for (let i: usize = 0; i < 256; i += 64) {
      const u = v128.load(address + i);
      for (let j: usize = 0; j < 256; j += 64) {
        let sum = step(u, v128.load(address + j), i32x4.splat(0));
        sum = step(u, v128.load(address + j, 16), sum);
        sum = step(u, v128.load(address + j, 32), sum);
        sum = step(u, v128.load(address + j, 48), sum);
        total = i32x4.add(total, widen(sum));
      }
    }
  }
  return i32x4.extract_lane(total, 0) + i32x4.extract_lane(total, 3);
}
