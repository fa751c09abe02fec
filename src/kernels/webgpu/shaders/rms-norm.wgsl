// out = x / sqrt(mean(x^2) + EPSILON) * weight (RMSNorm, arXiv 1910.07467); a workgroup a row.
//
// const WIDTH: u32; const EPSILON: f32; with operand.wgsl

@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> weight: array<vec4<f32>>;

const WORKGROUP = 128u;
var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = workgroup.x;
  var sum = 0.0;
  for (var i = thread; i < WIDTH / 4u; i += WORKGROUP) {
    let v = x[row * (WIDTH / 4u) + i];
    sum = fma(v.x, v.x, fma(v.y, v.y, fma(v.z, v.z, fma(v.w, v.w, sum))));
  }
  sums[thread] = sum;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
    workgroupBarrier();
  }
  let factor = 1.0 / sqrt(sums[0] / f32(WIDTH) + EPSILON);
  for (var group = thread; group < WIDTH / 16u; group += WORKGROUP) {
    let at = row * (WIDTH / 4u) + 4u * group;
    let w = 4u * group;
    store_group(
      row, group,
      x[at] * factor * weight[w], x[at + 1u] * factor * weight[w + 1u],
      x[at + 2u] * factor * weight[w + 2u], x[at + 3u] * factor * weight[w + 3u],
    );
  }
}
