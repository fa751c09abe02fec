// SwiGLU of few rows' products with the matrices of gate and up, which lie one after another: out = silu(x G^T + bias) * (x U^T + bias). A workgroup
// has whole groups of 16 features of both, one after another as in matmul-decode.wgsl.
//
// const BIAS: bool; with row-sums.wgsl (NUM_FEATURES is that of both), gate.wgsl, operand.wgsl

@group(0) @binding(0) var<storage, read> bias: array<f32>;

var<workgroup> gates: array<f32, ROWS * FEATURES>;
var<workgroup> ups: array<f32, ROWS * FEATURES>;

fn with_bias(feature: u32, sum: f32) -> f32 {
  if (BIAS) {
    return sum + bias[feature];
  }
  return sum;
}

/// Those beyond the last group are computed for nothing.
fn feature_of(index: u32) -> u32 {
  return min(index, WIDTH - 1u);
}

fn gated_at(at: u32) -> vec4<f32> {
  let gate = vec4<f32>(gates[at], gates[at + 1u], gates[at + 2u], gates[at + 3u]);
  return gated(gate, vec4<f32>(ups[at], ups[at + 1u], ups[at + 2u], ups[at + 3u]));
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let own = thread / THREADS;
  let lane = thread % THREADS;
  // On their way while the input is made.
  var loaded_gates = LoadedSegment();
  var loaded_ups = LoadedSegment();
  load_segment(thread, 0u, feature_of(workgroup.x * FEATURES + own), &loaded_gates);
  load_segment(thread, 0u, WIDTH + feature_of(workgroup.x * FEATURES + own), &loaded_ups);
  bring_input(thread);
  for (var first = workgroup.x * FEATURES; first < WIDTH; first += workgroups.x * FEATURES) {
    let feature = feature_of(first + own);
    add_segments(thread, 0u, feature, &loaded_gates);
    add_segments(thread, 1u, WIDTH + feature, &loaded_ups);
    if (first + workgroups.x * FEATURES < WIDTH) {
      let next = feature_of(first + own + workgroups.x * FEATURES);
      load_segment(thread, 0u, next, &loaded_gates);
      load_segment(thread, 0u, WIDTH + next, &loaded_ups);
    }
    workgroupBarrier();
    for (var row = lane; row < ROWS; row += THREADS) {
      let at = row * FEATURES + own;
      gates[at] = with_bias(feature, total_of(0u, row, thread - lane));
      ups[at] = with_bias(WIDTH + feature, total_of(1u, row, thread - lane));
    }
    workgroupBarrier();
    for (var item = thread; item < ROWS * (FEATURES / 16u); item += WORKGROUP) {
      let row = item / (FEATURES / 16u);
      let index = item % (FEATURES / 16u);
      let at = row * FEATURES + 16u * index;
      if (first + 16u * index < WIDTH) {
        let group = Group(gated_at(at), gated_at(at + 4u), gated_at(at + 8u), gated_at(at + 12u));
        store_group(row, first / 16u + index, group);
      }
    }
  }
}
