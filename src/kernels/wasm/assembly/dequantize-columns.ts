import { constant, LOW_BYTE } from './constants';
import {
  STRIP_ROWS,
  TYPE_BF16,
  TYPE_F16,
  TYPE_Q4_0,
  TYPE_Q4_1,
  TYPE_Q4_K,
  TYPE_Q5_0,
  TYPE_Q5_1,
  TYPE_Q5_K,
  TYPE_Q6_K,
  TYPE_Q8_0,
} from './commands';
import { codeOffset, floatBytes, groupAddress, groupBytes, hasMinimum } from './packed-weights';
import { loadBf16x4, loadF16x4 } from './simd';
import { codes4, rowTermOf, scalesOf } from './weight-codes';

/**
 * Writes columns of a packed strip as float32: of each column its 16 rows, exactly the values that `dequantizeRow` gives.
 *
 * @param column a multiple of 256
 * @param columns of quantized types a multiple of 32
 */
export function dequantizeColumns(type: i32, strip: usize, column: i32, columns: i32, out: usize): void {
  if (type == TYPE_F16) widenF16(strip, column, columns, out);
  else if (type == TYPE_BF16) widenBf16(strip, column, columns, out);
  else if (type == TYPE_Q4_0) dequantizeQ40(strip, column, columns, out);
  else if (type == TYPE_Q4_1) dequantizeQ41(strip, column, columns, out);
  else if (type == TYPE_Q5_0) dequantizeQ50(strip, column, columns, out);
  else if (type == TYPE_Q5_1) dequantizeQ51(strip, column, columns, out);
  else if (type == TYPE_Q8_0) dequantizeQ80(strip, column, columns, out);
  else if (type == TYPE_Q4_K) dequantizeQ4K(strip, column, columns, out);
  else if (type == TYPE_Q5_K) dequantizeQ5K(strip, column, columns, out);
  else dequantizeQ6K(strip, column, columns, out);
}

/** Eight numbers of 16 bits at a time: half a column. */
// @ts-ignore: decorator
@inline
function widen16(type: i32, strip: usize, column: i32, columns: i32, out: usize): void {
  let p = strip + <usize>(column * STRIP_ROWS * floatBytes(type));
  const end = out + <usize>(columns * STRIP_ROWS * 4);
  for (let target = out; target < end; target += 32) {
    const a = type == TYPE_F16 ? loadF16x4(p) : loadBf16x4(p);
    const b = type == TYPE_F16 ? loadF16x4(p + 8) : loadBf16x4(p + 8);
    v128.store(target, b, 16);
    v128.store(target, a);
    p += 16;
  }
}

// @ts-ignore: decorator
@inline
function dequantize(type: i32, strip: usize, column: i32, columns: i32, out: usize): void {
  const first = column >> 5;
  const end = first + (columns >> 5);
  for (let group = first; group < end; group++) {
    const w = groupAddress(type, strip, group);
    // Of types that have super-blocks.
    const top = w + <usize>((8 - (group & 7)) * groupBytes(type));
    dequantizeHalf(type, w, top, 0, out);
    dequantizeHalf(type, w, top, 1, out + 16 * 4 * STRIP_ROWS);
    out += 32 * 4 * STRIP_ROWS;
  }
}

// @ts-ignore: decorator
@inline
function dequantizeHalf(type: i32, w: usize, top: usize, half: i32, out: usize): void {
  dequantizeOctet(type, w, top, half, 0, out);
  dequantizeOctet(type, w, top, half, 2, out + 32);
}

/** 16 columns of two neighbouring quads of a strip's rows. */
// @ts-ignore: decorator
@inline
function dequantizeOctet(type: i32, w: usize, top: usize, half: i32, quad: i32, out: usize): void {
  const sa = scalesOf(type, w, top, quad, half), sb = scalesOf(type, w, top, quad + 1, half);
  let ma = sa, mb = sb;
  if (hasMinimum(type)) {
    ma = rowTermOf(type, w, top, quad, sa);
    mb = rowTermOf(type, w, top, quad + 1, sb);
  }
  for (let j = 0; j < 4; j++) {
    const a = codes4(type, w, j, quad, half), b = codes4(type, w, j, quad + 1, half);
    const target = out + <usize>(j * 4 * 4 * STRIP_ROWS);
    store8(type, target, a, b, sa, sb, ma, mb);
    store8(type, target + 64, i32x4.shr_u(a, 8), i32x4.shr_u(b, 8), sa, sb, ma, mb);
    store8(type, target + 128, i32x4.shr_u(a, 16), i32x4.shr_u(b, 16), sa, sb, ma, mb);
    store8(type, target + 192, i32x4.shr_u(a, 24), i32x4.shr_u(b, 24), sa, sb, ma, mb);
  }
}

/** The weights of the codes in the lowest bytes: in ggml's own order of operations. */
// @ts-ignore: decorator
@inline
function store8(type: i32, out: usize, a: v128, b: v128, sa: v128, sb: v128, ma: v128, mb: v128): void {
  const mask = constant(LOW_BYTE);
  let c = v128.and(a, mask), d = v128.and(b, mask);
  if (codeOffset(type) != 0) {
    const offset = i32x4.splat(codeOffset(type));
    c = i32x4.sub(c, offset);
    d = i32x4.sub(d, offset);
  }
  let e = f32x4.mul(sa, f32x4.convert_i32x4_s(c)), f = f32x4.mul(sb, f32x4.convert_i32x4_s(d));
  if (hasMinimum(type)) {
    e = f32x4.add(e, ma);
    f = f32x4.add(f, mb);
  }
  v128.store(out, f, 16);
  v128.store(out, e);
}

// A function for each type, so that what differs between types is decided when this is compiled.
function widenF16(strip: usize, column: i32, columns: i32, out: usize): void {
  widen16(TYPE_F16, strip, column, columns, out);
}
function widenBf16(strip: usize, column: i32, columns: i32, out: usize): void {
  widen16(TYPE_BF16, strip, column, columns, out);
}
function dequantizeQ40(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q4_0, strip, column, columns, out);
}
function dequantizeQ41(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q4_1, strip, column, columns, out);
}
function dequantizeQ50(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q5_0, strip, column, columns, out);
}
function dequantizeQ51(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q5_1, strip, column, columns, out);
}
function dequantizeQ80(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q8_0, strip, column, columns, out);
}
function dequantizeQ4K(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q4_K, strip, column, columns, out);
}
function dequantizeQ5K(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q5_K, strip, column, columns, out);
}
function dequantizeQ6K(strip: usize, column: i32, columns: i32, out: usize): void {
  dequantize(TYPE_Q6_K, strip, column, columns, out);
}
