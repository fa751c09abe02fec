import { rotateHead } from './rotate';
import { madd } from './simd';

/**
 * Multiplies a head in place by matrix `head` of a list, or where there is none and `rotate` says so, by the Hadamard matrix.
 *
 * @param matrices address of [numKvHeads, d, d] float32, each matrix by columns; 0: none
 * @param scratch room for d float32
 */
export function transformHead(x: usize, d: i32, matrices: usize, head: i32, rotate: bool, scratch: usize): void {
  if (matrices) multiplyHead(x, d, matrices + (<usize>(head * d * d) << 2), scratch);
  else if (rotate) rotateHead(x, d);
}

/** 16 outputs at a time; inputs in order. */
function multiplyHead(x: usize, d: i32, columns: usize, scratch: usize): void {
  const bytes = <usize>d << 2;
  for (let c: usize = 0; c < bytes; c += 64) {
    let a = f32x4.splat(0), b = a, e = a, f = a;
    let column = columns + c;
    for (let i = x; i < x + bytes; i += 4) {
      const value = v128.load32_splat(i);
      a = madd(value, v128.load(column), a);
      b = madd(value, v128.load(column, 16), b);
      e = madd(value, v128.load(column, 32), e);
      f = madd(value, v128.load(column, 48), f);
      column += bytes;
    }
    v128.store(scratch + c, b, 16);
    v128.store(scratch + c, a);
    v128.store(scratch + c, f, 48);
    v128.store(scratch + c, e, 32);
  }
  for (let c: usize = 0; c < bytes; c += 16) v128.store(x + c, v128.load(scratch + c));
}
