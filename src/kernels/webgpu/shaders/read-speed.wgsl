// Reads a buffer once, in order.

@group(0) @binding(0) var<storage, read> bytes: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>) {
  var sum = vec4<u32>(0u);
  for (var i = id.x; i < arrayLength(&bytes); i += workgroups.x * 256u) {
    sum ^= bytes[i];
  }
  // Never true of zeros, which no compiler knows.
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == 1u) {
    result[0] = 1u;
  }
}
