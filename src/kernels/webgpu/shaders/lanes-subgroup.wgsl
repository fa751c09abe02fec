// Sums over LANES neighbouring threads, a power of two and at most a subgroup, of 4 values: each thread gets the sums of its share, one value
// (with 2 lanes: two). Of 4 lanes and more, LANES / 4 threads get the same one.

fn share_ints(lane: u32, value: vec4<i32>) -> vec4<i32> {
  if (LANES == 1u) {
    return value;
  }
  let in_upper = (lane & (LANES / 2u)) != 0u;
  var pair = select(value.xy, value.zw, in_upper);
  pair += subgroupShuffleXor(select(value.zw, value.xy, in_upper), LANES / 2u);
  if (LANES == 2u) {
    return vec4<i32>(pair, 0, 0);
  }
  let is_odd = (lane & (LANES / 4u)) != 0u;
  var one = select(pair.x, pair.y, is_odd);
  one += subgroupShuffleXor(select(pair.y, pair.x, is_odd), LANES / 4u);
  for (var offset = LANES / 8u; offset > 0u; offset >>= 1u) {
    one += subgroupShuffleXor(one, offset);
  }
  return vec4<i32>(one, 0, 0, 0);
}

fn share_floats(lane: u32, value: vec4<f32>) -> vec4<f32> {
  if (LANES == 1u) {
    return value;
  }
  let in_upper = (lane & (LANES / 2u)) != 0u;
  var pair = select(value.xy, value.zw, in_upper);
  pair += subgroupShuffleXor(select(value.zw, value.xy, in_upper), LANES / 2u);
  if (LANES == 2u) {
    return vec4<f32>(pair, 0, 0);
  }
  let is_odd = (lane & (LANES / 4u)) != 0u;
  var one = select(pair.x, pair.y, is_odd);
  one += subgroupShuffleXor(select(pair.y, pair.x, is_odd), LANES / 4u);
  for (var offset = LANES / 8u; offset > 0u; offset >>= 1u) {
    one += subgroupShuffleXor(one, offset);
  }
  return vec4<f32>(one, 0, 0, 0);
}
