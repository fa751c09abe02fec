// Sums over LANES neighbouring threads, a power of two and at most a subgroup; all of them get it.

fn sum_lanes(value: vec4<i32>) -> vec4<i32> {
  var sum = value;
  for (var offset = 1u; offset < LANES; offset <<= 1u) {
    sum += subgroupShuffleXor(sum, offset);
  }
  return sum;
}

fn sum_lanes_float(value: vec4<f32>) -> vec4<f32> {
  var sum = value;
  for (var offset = 1u; offset < LANES; offset <<= 1u) {
    sum += subgroupShuffleXor(sum, offset);
  }
  return sum;
}
