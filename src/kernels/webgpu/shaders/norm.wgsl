// x / sqrt(mean(x^2) + EPSILON) * weight (RMSNorm, arXiv 1910.07467), for whoever wants it: the same bits everywhere.
//
// const NORM_WIDTH: u32; const EPSILON: f32; with quantize.wgsl

@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;

const NORM_THREADS = 128u;
const EIGHTHS = 8u;
var<workgroup> squares: array<f32, NORM_THREADS>;
var<workgroup> eighths: array<f32, EIGHTHS>;

/// What a row is multiplied by. To be called by all threads, at least NORM_THREADS.
fn norm_factor(thread: u32, row: u32) -> f32 {
  if (thread < NORM_THREADS) {
    var sum = 0.0;
    for (var i = thread; i < NORM_WIDTH / 4u; i += NORM_THREADS) {
      let v = x[row * (NORM_WIDTH / 4u) + i];
      sum = fma(v.x, v.x, fma(v.y, v.y, fma(v.z, v.z, fma(v.w, v.w, sum))));
    }
    squares[thread] = sum;
  }
  workgroupBarrier();
  if (thread < EIGHTHS) {
    var sums = array<f32, NORM_THREADS / EIGHTHS>();
    for (var i = 0u; i < NORM_THREADS / EIGHTHS; i++) {
      sums[i] = squares[thread + EIGHTHS * i];
    }
    for (var half = NORM_THREADS / EIGHTHS / 2u; half > 0u; half >>= 1u) {
      for (var i = 0u; i < half; i++) {
        sums[i] += sums[i + half];
      }
    }
    eighths[thread] = sums[0];
  }
  workgroupBarrier();
  let even = (eighths[0] + eighths[4]) + (eighths[2] + eighths[6]);
  let odd = (eighths[1] + eighths[5]) + (eighths[3] + eighths[7]);
  return 1.0 / sqrt((even + odd) / f32(NORM_WIDTH) + EPSILON);
}

/// 16 columns of a row, from column 16 * index on.
fn normed_group(row: u32, index: u32, factor: f32) -> Group {
  let at = row * (NORM_WIDTH / 4u) + 4u * index;
  let w = 4u * index;
  return Group(
    x[at] * factor * weight[w], x[at + 1u] * factor * weight[w + 1u],
    x[at + 2u] * factor * weight[w + 2u], x[at + 3u] * factor * weight[w + 3u],
  );
}
