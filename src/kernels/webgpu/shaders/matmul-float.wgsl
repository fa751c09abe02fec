// Products in float32: of weights that are floats, and of all where activations stay float32. THREADS threads
// share an output feature; each takes segments of it, for ROWS_AT_ONCE rows of x.
//
// const NUM_OUT, THREADS, SIZE_INDEX: u32; with weights.wgsl, output-*.wgsl

@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> num_rows: array<u32>;

const WORKGROUP = 64u;
const ROWS_AT_ONCE = 4u;
const QUADS = COLS / 4u;
const SEGMENT_QUADS = 64u;
const SEGMENTS = (QUADS + SEGMENT_QUADS - 1u) / SEGMENT_QUADS;
const ROUNDS = (SEGMENTS + THREADS - 1u) / THREADS;
var<workgroup> sums: array<vec4<f32>, WORKGROUP * ROUNDS>;

fn add_quad(sum: f32, w: vec4<f32>, v: vec4<f32>) -> f32 {
  return fma(w.x, v.x, fma(w.y, v.y, fma(w.z, v.z, fma(w.w, v.w, sum))));
}

fn segment_sums(first_row: u32, last_row: u32, feature: u32, segment: u32) -> vec4<f32> {
  let rows = min(vec4<u32>(first_row, first_row + 1u, first_row + 2u, first_row + 3u), vec4<u32>(last_row)) * QUADS;
  var sum = vec4<f32>(0.0);
  let end = min(QUADS, (segment + 1u) * SEGMENT_QUADS);
  for (var quad = segment * SEGMENT_QUADS; quad < end; quad++) {
    let w = weights4(feature, quad);
    sum = vec4<f32>(
      add_quad(sum.x, w, x[rows.x + quad]), add_quad(sum.y, w, x[rows.y + quad]),
      add_quad(sum.z, w, x[rows.z + quad]), add_quad(sum.w, w, x[rows.w + quad]),
    );
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first_row = workgroup.y * ROWS_AT_ONCE;
  let end_row = min(first_row + ROWS_AT_ONCE, num_rows[SIZE_INDEX]);
  let feature = workgroup.x * (WORKGROUP / THREADS) + thread / THREADS;
  let lane = thread % THREADS;
  for (var round = 0u; round < ROUNDS; round++) {
    let segment = round * THREADS + lane;
    if (feature < NUM_OUT && segment < SEGMENTS) {
      sums[round * WORKGROUP + thread] = segment_sums(first_row, end_row - 1u, feature, segment);
    }
  }
  workgroupBarrier();
  if (lane != 0u || feature >= NUM_OUT) {
    return;
  }
  var total = vec4<f32>(0.0);
  for (var segment = 0u; segment < SEGMENTS; segment++) {
    total += sums[(segment / THREADS) * WORKGROUP + thread + segment % THREADS];
  }
  for (var row = first_row; row < end_row; row++) {
    store_product(row, feature, total[row - first_row]);
  }
}
