// What matmul-decode.wgsl and matmul-gated.wgsl have in common: THREADS threads share an output feature, each takes segments of it for ROWS rows of x.
// A thread may do so for SIDES features.
//
// const NUM_FEATURES, THREADS, ROWS, SIDES, WORKGROUP: u32; with weights.wgsl, products.wgsl, input-*.wgsl

const SEGMENTS = (GROUPS + SEGMENT - 1u) / SEGMENT;
/// Segments that a thread takes, one THREADS after another.
const TURNS = (SEGMENTS + THREADS - 1u) / THREADS;
const FEATURES = WORKGROUP / THREADS;
var<workgroup> sums: array<f32, WORKGROUP * TURNS * ROWS * SIDES>;

/// A thread's segments of a feature, into `sums`.
fn add_segments(thread: u32, side: u32, feature: u32) {
  for (var turn = 0u; turn < TURNS; turn++) {
    let segment = turn * THREADS + thread % THREADS;
    if (feature < NUM_FEATURES && segment < SEGMENTS) {
      var of_rows = array<f32, ROWS>();
      // As many groups each time where they are whole segments, so that the loop is unrolled and all loads are on their way at once.
      let end = select(min(GROUPS - segment * SEGMENT, SEGMENT), SEGMENT, GROUPS % SEGMENT == 0u);
      for (var i = 0u; i < end; i++) {
        let group = segment * SEGMENT + i;
        let codes = codes_of(feature, group);
        let scale = scale_of(feature, group);
        for (var row = 0u; row < ROWS; row++) {
          let input = input_codes(row, group);
          of_rows[row] = add_group(of_rows[row], codes, scale, input.lo, input.hi, input_scales(row, group));
        }
      }
      for (var row = 0u; row < ROWS; row++) {
        sums[((side * ROWS + row) * TURNS + turn) * WORKGROUP + thread] = of_rows[row];
      }
    }
  }
}

/// The sum of a row's segments, in order of slices. @param first of the threads that share the feature
fn total_of(side: u32, row: u32, first: u32) -> f32 {
  var total = 0.0;
  for (var slice = 0u; slice < SLICES; slice++) {
    var sum = 0.0;
    for (var i = 0u; i < SEGMENTS / SLICES; i++) {
      let segment = slice * (SEGMENTS / SLICES) + i;
      sum += sums[((side * ROWS + row) * TURNS + segment / THREADS) * WORKGROUP + first + segment % THREADS];
    }
    total += sum;
  }
  return total;
}
