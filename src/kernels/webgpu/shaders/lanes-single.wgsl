// A thread has a token for itself, for adapters without subgroups and heads whose groups of channels are no power of two.

fn share_ints(lane: u32, value: vec4<i32>) -> vec4<i32> {
  return value;
}

fn share_floats(lane: u32, value: vec4<f32>) -> vec4<f32> {
  return value;
}
