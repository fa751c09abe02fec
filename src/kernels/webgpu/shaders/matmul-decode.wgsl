// out = x W^T (+ bias), or out += x W^T, of few rows: THREADS threads share an output feature, each takes segments of it.
//
// const NUM_OUT, THREADS: u32; const ACCUMULATE, BIAS: bool; with weights.wgsl, products.wgsl

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> x_codes: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> x_scales: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

const WORKGROUP = 128u;
const SEGMENTS = (GROUPS + SEGMENT - 1u) / SEGMENT;
/// Segments that a thread takes, one THREADS after another.
const ROUNDS = (SEGMENTS + THREADS - 1u) / THREADS;
var<workgroup> sums: array<f32, WORKGROUP * ROUNDS>;

fn segment_sum(row: u32, feature: u32, segment: u32) -> f32 {
  var sum = 0.0;
  let end = min(GROUPS, (segment + 1u) * SEGMENT);
  for (var group = segment * SEGMENT; group < end; group++) {
    let x = row * GROUPS + group;
    sum = add_group(
      sum, codes_of(feature, group), scale_of(feature, group),
      x_codes[2u * x], x_codes[2u * x + 1u], x_scales[x],
    );
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = workgroup.y;
  let feature = workgroup.x * (WORKGROUP / THREADS) + thread / THREADS;
  let lane = thread % THREADS;
  for (var round = 0u; round < ROUNDS; round++) {
    let segment = round * THREADS + lane;
    if (feature < NUM_OUT && segment < SEGMENTS) {
      sums[round * WORKGROUP + thread] = segment_sum(row, feature, segment);
    }
  }
  workgroupBarrier();
  if (lane != 0u || feature >= NUM_OUT) {
    return;
  }
  var total = 0.0;
  for (var segment = 0u; segment < SEGMENTS; segment++) {
    total += sums[(segment / THREADS) * WORKGROUP + thread + segment % THREADS];
  }
  let at = row * NUM_OUT + feature;
  if (BIAS) {
    total += bias[feature];
  }
  if (ACCUMULATE) {
    total += product[at];
  }
  product[at] = total;
}
