// What matmul-decode.wgsl and matmul-gated.wgsl have in common: THREADS threads share an output feature, each takes segments of it for ROWS rows of x.
// A thread may do so for SIDES features.
//
// const NUM_FEATURES, THREADS, ROWS, SIDES, WORKGROUP: u32; with weights.wgsl, products.wgsl, input-*.wgsl

/// Segments that a thread takes, one THREADS after another.
const TURNS = (SEGMENTS + THREADS - 1u) / THREADS;
const FEATURES = WORKGROUP / THREADS;
var<workgroup> sums: array<f32, WORKGROUP * TURNS * ROWS * SIDES>;

/// Weights of a segment, as they lie in memory.
struct LoadedSegment {
  codes: array<PackedWeights, SEGMENT>,
  scales: array<vec2<u32>, SEGMENT>,
}

/// Asks for a thread's segment of a turn; of those that are not there for some that is.
fn load_segment(thread: u32, turn: u32, feature: u32, loaded: ptr<function, LoadedSegment>) {
  let row = min(feature, NUM_FEATURES - 1u);
  let first = min(turn * THREADS + thread % THREADS, SEGMENTS - 1u) * SEGMENT;
  for (var i = 0u; i < SEGMENT; i++) {
    let group = min(first + i, GROUPS - 1u);
    (*loaded).codes[i] = load_weights(row, group);
    (*loaded).scales[i] = load_scale(row, group);
  }
}

/// A thread's segments of a feature, into `sums`. @param loaded the first of them
fn add_segments(thread: u32, side: u32, feature: u32, loaded: ptr<function, LoadedSegment>) {
  for (var turn = 0u; turn < TURNS; turn++) {
    let segment = turn * THREADS + thread % THREADS;
    if (turn > 0u) {
      load_segment(thread, turn, feature, loaded);
    }
    if (feature < NUM_FEATURES && segment < SEGMENTS) {
      var of_rows = array<f32, ROWS>();
      // As many turns each time, so that the loop is unrolled and what has been loaded stays in registers.
      for (var i = 0u; i < SEGMENT; i++) {
        let group = segment * SEGMENT + i;
        if (GROUPS % SEGMENT == 0u || group < GROUPS) {
          let codes = unpack_weights((*loaded).codes[i]);
          let scale = unpack_scale((*loaded).scales[i]);
          for (var row = 0u; row < ROWS; row++) {
            let input = input_codes(row, group);
            of_rows[row] = add_group(of_rows[row], codes, scale, input.lo, input.hi, input_scales(row, group));
          }
        }
      }
      for (var row = 0u; row < ROWS; row++) {
        sums[((side * ROWS + row) * TURNS + turn) * WORKGROUP + thread] = of_rows[row];
      }
    }
  }
}

/// The sum of a row's segments, in order. @param first of the threads that share the feature
fn total_of(side: u32, row: u32, first: u32) -> f32 {
  var total = 0.0;
  for (var segment = 0u; segment < SEGMENTS; segment++) {
    total += sums[((side * ROWS + row) * TURNS + segment / THREADS) * WORKGROUP + first + segment % THREADS];
  }
  return total;
}
