// Products of few rows.
//
// const NUM_OUT: u32; with row-sums.wgsl, output-*.wgsl

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let feature = workgroup.x * FEATURES + thread / THREADS;
  let lane = thread % THREADS;
  bring_input(thread);
  add_segments(thread, 0u, feature);
  workgroupBarrier();
  if (feature < NUM_OUT) {
    for (var row = lane; row < ROWS; row += THREADS) {
      store_product(row, feature, total_of(0u, row, thread - lane));
    }
  }
}
