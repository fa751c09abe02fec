// Products of a batch of rows: as in matmul-decode.wgsl threads share a feature, of which each takes segments, but a thread has ROWS rows of
// FEATURES_EACH features, so that weights are loaded and unpacked once for all rows, and rows once for all features. Rows come by workgroup memory, the i-th
// groups of all segments at a time.
//
// const NUM_OUT, SIZE_INDEX, THREADS, ROWS, FEATURES_EACH, WORKGROUP: u32; with weights.wgsl, products.wgsl, input-operand.wgsl, output-*.wgsl

@group(0) @binding(8) var<storage, read> num_rows: array<u32>;

/// Segments that a thread takes, one THREADS after another.
const TURNS = (SEGMENTS + THREADS - 1u) / THREADS;
/// Threads that take the same segment, each of its own features.
const TEAMS = WORKGROUP / THREADS;
const FEATURES = TEAMS * FEATURES_EACH;
/// Of the workgroup, and how many of them a thread puts together.
const OUTPUTS = ROWS * FEATURES;
const OUTPUTS_EACH = (OUTPUTS + WORKGROUP - 1u) / WORKGROUP;
/// One more than there are threads, so that what is read at a time lies in different banks.
const STRIDE = THREADS + 1u;
/// Vectors of a group of each segment, of all rows: first halves, second halves, scales. A thread brings PARTS_EACH of them.
const PARTS = 3u * ROWS * THREADS;
const PARTS_EACH = (PARTS + WORKGROUP - 1u) / WORKGROUP;
var<workgroup> inputs: array<vec4<u32>, PARTS>;
/// Sums of segments.
var<workgroup> handed: array<f32, OUTPUTS * STRIDE>;

/// Those that are not there are computed for nothing.
fn feature_at(index: u32) -> u32 {
  return select(min(index, NUM_OUT - 1u), index, NUM_OUT % FEATURES == 0u);
}

/// One of PARTS, of the rows from `first_row` on and the i-th groups of a turn. Operands have room for whole batches: what lies beyond the last row is
/// multiplied for nothing.
fn input_part(index: u32, first_row: u32, turn: u32, i: u32) -> vec4<u32> {
  let row = first_row + index / THREADS % ROWS;
  let segment = min(turn * THREADS + index % THREADS, SEGMENTS - 1u);
  let group = min(segment * SEGMENT + i, GROUPS - 1u);
  let part = index / (ROWS * THREADS);
  if (part == 2u) {
    return bitcast<vec4<u32>>(input_scales(row, group));
  }
  return input_half(row, 2u * group + part);
}

// Long, since what a thread keeps in registers cannot be handed around.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let lane = thread % THREADS;
  let team = thread / THREADS;
  // Workgroups of the same features come one after another, so that weights come from memory once.
  let first_row = workgroup.x * ROWS;
  let first_feature = workgroup.y * FEATURES;
  var totals = array<f32, OUTPUTS_EACH>();
  for (var turn = 0u; turn < TURNS; turn++) {
    let segment = min(turn * THREADS + lane, SEGMENTS - 1u);
    let num_groups = select(min(GROUPS - segment * SEGMENT, SEGMENT), SEGMENT, GROUPS % SEGMENT == 0u);
    var sums = array<array<f32, ROWS>, FEATURES_EACH>();
    var next = array<PackedWeights, FEATURES_EACH>();
    var next_scale = array<vec2<u32>, FEATURES_EACH>();
    for (var j = 0u; j < FEATURES_EACH; j++) {
      let feature = feature_at(first_feature + team + TEAMS * j);
      next[j] = load_weights(feature, segment * SEGMENT);
      next_scale[j] = load_scale(feature, segment * SEGMENT);
    }
    var parts = array<vec4<u32>, PARTS_EACH>();
    for (var k = 0u; k < PARTS_EACH; k++) {
      parts[k] = input_part(min(k * WORKGROUP + thread, PARTS - 1u), first_row, turn, 0u);
    }
    for (var i = 0u; i < SEGMENT; i++) {
      for (var k = 0u; k < PARTS_EACH; k++) {
        if (k * WORKGROUP + thread < PARTS) {
          inputs[k * WORKGROUP + thread] = parts[k];
        }
      }
      workgroupBarrier();
      for (var k = 0u; k < PARTS_EACH; k++) {
        parts[k] = input_part(min(k * WORKGROUP + thread, PARTS - 1u), first_row, turn, min(i + 1u, SEGMENT - 1u));
      }
      let next_group = segment * SEGMENT + min(i + 1u, num_groups - 1u);
      for (var j = 0u; j < FEATURES_EACH; j++) {
        let codes = unpack_weights(next[j]);
        let scale = unpack_scale(next_scale[j]);
        let feature = feature_at(first_feature + team + TEAMS * j);
        next[j] = load_weights(feature, next_group);
        next_scale[j] = load_scale(feature, next_group);
        if (i < num_groups) {
          for (var r = 0u; r < ROWS; r++) {
            let at = r * THREADS + lane;
            let scales = bitcast<vec4<f32>>(inputs[at + 2u * ROWS * THREADS]);
            sums[j][r] = add_group(sums[j][r], codes, scale, inputs[at], inputs[at + ROWS * THREADS], scales);
          }
        }
      }
      workgroupBarrier();
    }
    for (var j = 0u; j < FEATURES_EACH; j++) {
      for (var r = 0u; r < ROWS; r++) {
        handed[((j * ROWS + r) * TEAMS + team) * STRIDE + lane] = sums[j][r];
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < OUTPUTS_EACH; k++) {
      let output = min(k * WORKGROUP + thread, OUTPUTS - 1u);
      for (var s = 0u; s < THREADS; s++) {
        let of_turn = turn * THREADS + s;
        if (of_turn < SEGMENTS) {
          totals[k] += handed[output * STRIDE + s];
        }
      }
    }
    workgroupBarrier();
  }
  for (var k = 0u; k < OUTPUTS_EACH; k++) {
    let output = k * WORKGROUP + thread;
    let row = first_row + output / TEAMS % ROWS;
    let feature = first_feature + output % TEAMS + TEAMS * (output / (TEAMS * ROWS));
    if (output < OUTPUTS && row < num_rows[SIZE_INDEX] && feature < NUM_OUT) {
      store_product(row, feature, totals[k]);
    }
  }
}
