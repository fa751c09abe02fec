// Dot products of packed bytes out of registers: 16 of 4 bytes for each of 256 threads and TIMES.
//
// const TIMES: u32

@group(0) @binding(0) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var a = vec4<u32>(id.x, id.x * 3u, id.x * 5u, id.x * 7u);
  var sums = array<vec4<i32>, 4>();
  for (var i = 0u; i < TIMES; i++) {
    for (var j = 0u; j < 4u; j++) {
      sums[j] += vec4<i32>(dot4I8Packed(a.x, i), dot4I8Packed(a.y, i), dot4I8Packed(a.z, i), dot4I8Packed(a.w, i));
      a = a.yzwx;
    }
  }
  let total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  if (total.x + total.y + total.z + total.w == 1) {
    result[0] = 1u;
  }
}
