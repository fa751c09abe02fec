// RMSNorm of each head of x, in place, all with the same weights; a workgroup a head of a row.
//
// const HEAD_DIM: u32; const EPSILON: f32

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;

const WORKGROUP = 32u;
var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let first = (workgroup.y * workgroups.x + workgroup.x) * HEAD_DIM;
  var sum = 0.0;
  for (var c = thread; c < HEAD_DIM; c += WORKGROUP) {
    sum = fma(x[first + c], x[first + c], sum);
  }
  sums[thread] = sum;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
    workgroupBarrier();
  }
  let factor = 1.0 / sqrt(sums[0] / f32(HEAD_DIM) + EPSILON);
  for (var c = thread; c < HEAD_DIM; c += WORKGROUP) {
    x[first + c] = x[first + c] * factor * weight[c];
  }
}
