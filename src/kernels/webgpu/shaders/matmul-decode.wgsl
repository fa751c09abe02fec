// out = x W^T (+ bias), or out += x W^T, of few rows: THREADS threads share an output feature, each takes segments of it for ROWS rows of x.
//
// const NUM_OUT, THREADS, ROWS: u32; const ACCUMULATE, BIAS: bool; with weights.wgsl, products.wgsl

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> x_codes: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> x_scales: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

const WORKGROUP = 128u;
const SEGMENTS = (GROUPS + SEGMENT - 1u) / SEGMENT;
/// Segments that a thread takes, one THREADS after another.
const TURNS = (SEGMENTS + THREADS - 1u) / THREADS;
var<workgroup> sums: array<f32, WORKGROUP * TURNS * ROWS>;

fn sum_with(sum: f32, codes: Codes, scale: Scale, x: u32) -> f32 {
  return add_group(sum, codes, scale, x_codes[2u * x], x_codes[2u * x + 1u], x_scales[x]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let feature = workgroup.x * (WORKGROUP / THREADS) + thread / THREADS;
  let lane = thread % THREADS;
  for (var turn = 0u; turn < TURNS; turn++) {
    let segment = turn * THREADS + lane;
    if (feature < NUM_OUT && segment < SEGMENTS) {
      var of_rows: array<f32, ROWS>;
      // As many groups each time where they are whole segments, so that the loop is unrolled and all loads are on their way at once.
      let end = select(min(GROUPS - segment * SEGMENT, SEGMENT), SEGMENT, GROUPS % SEGMENT == 0u);
      for (var i = 0u; i < end; i++) {
        let group = segment * SEGMENT + i;
        let codes = codes_of(feature, group);
        let scale = scale_of(feature, group);
        for (var row = 0u; row < ROWS; row++) {
          of_rows[row] = sum_with(of_rows[row], codes, scale, row * GROUPS + group);
        }
      }
      for (var row = 0u; row < ROWS; row++) {
        sums[(row * TURNS + turn) * WORKGROUP + thread] = of_rows[row];
      }
    }
  }
  workgroupBarrier();
  if (feature >= NUM_OUT) {
    return;
  }
  for (var row = lane; row < ROWS; row += THREADS) {
    var total = 0.0;
    for (var segment = 0u; segment < SEGMENTS; segment++) {
      total += sums[(row * TURNS + segment / THREADS) * WORKGROUP + thread - lane + segment % THREADS];
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
}
