// Integer products of 32 columns; with weights.wgsl, slots.wgsl. A row's sum over its columns runs segment by segment, and the sums of segments are added up in order, so
// that kernels which cut a row among threads in this or that way give the same bits.

const SEGMENTS = (GROUPS + SEGMENT - 1u) / SEGMENT;

/// A product of 16 columns as a float. Its magnitude is below 2^22: added to the bits of 1.5 * 2^23 it is that number's last digits, which costs
/// less than a conversion and is as exact.
fn dot16(a: vec4<u32>, b: vec4<u32>) -> f32 {
  let bits = 0x4b400000 + dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
  return bitcast<f32>(bits) - 12582912.0;
}

/// @param x_scales scale, and scale times the sum of codes, of either half
fn add_group(sum: f32, w: Codes, scale: Scale, x_lo: vec4<u32>, x_hi: vec4<u32>, x_scales: vec4<f32>) -> f32 {
  if (SCALES == 2u) {
    return fma(dot16(w.hi, x_hi), scale.hi * x_scales.z, fma(dot16(w.lo, x_lo), scale.lo * x_scales.x, sum));
  }
  var next = fma(fma(dot16(w.hi, x_hi), x_scales.z, dot16(w.lo, x_lo) * x_scales.x), scale.lo, sum);
  if (SCALES == 1u) {
    next = fma(scale.minimum, x_scales.y + x_scales.w, next);
  }
  return next;
}
