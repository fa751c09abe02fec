// A thread has a token for itself, for adapters without subgroups and heads whose groups of channels are no power of two.

fn sum_lanes(value: vec4<i32>) -> vec4<i32> {
  return value;
}

fn sum_lanes_float(value: vec4<f32>) -> vec4<f32> {
  return value;
}
