// Products of few rows. A workgroup goes over features as far apart as there are workgroups for, so that an input which it makes for itself serves for many.
//
// const NUM_OUT: u32; with row-sums.wgsl, output-*.wgsl

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let lane = thread % THREADS;
  let own = thread / THREADS;
  // On their way while the input is made.
  var loaded = LoadedSegment();
  load_segment(thread, 0u, workgroup.x * FEATURES + own, &loaded);
  bring_input(thread);
  for (var first = workgroup.x * FEATURES; first < NUM_OUT; first += workgroups.x * FEATURES) {
    let feature = first + own;
    add_segments(thread, 0u, feature, &loaded);
    if (first + workgroups.x * FEATURES < NUM_OUT) {
      load_segment(thread, 0u, feature + workgroups.x * FEATURES, &loaded);
    }
    workgroupBarrier();
    if (feature < NUM_OUT) {
      for (var row = lane; row < ROWS; row += THREADS) {
        store_product(row, feature, total_of(0u, row, thread - lane));
      }
    }
    workgroupBarrier();
  }
}
