// RMSNorm of rows; a workgroup a row.
//
// with norm.wgsl, operand.wgsl

@compute @workgroup_size(NORM_THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let factor = norm_factor(thread, workgroup.x);
  for (var group = thread; group < WIDTH / 16u; group += NORM_THREADS) {
    store_group(workgroup.x, group, normed_group(workgroup.x, group, factor));
  }
}
