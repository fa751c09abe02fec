// Integer products of 32 columns. A row's sum over its columns runs segment by segment, so that kernels which cut a row among threads and
// kernels which do not give the same bits.
//
// with weights.wgsl

/// Groups of a segment.
const SEGMENT = 8u;

fn dot16(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

/// @param x_scales scale, and scale times the sum of codes, of either half
fn add_group(sum: f32, w: Codes, scale: Scale, x_lo: vec4<u32>, x_hi: vec4<u32>, x_scales: vec4<f32>) -> f32 {
  var next = fma(f32(dot16(w.lo, x_lo)), scale.lo * x_scales.x, sum);
  next = fma(f32(dot16(w.hi, x_hi)), scale.hi * x_scales.z, next);
  if (SCALES == 1u) {
    next = fma(scale.minimum, x_scales.y + x_scales.w, next);
  }
  return next;
}
