// 16 numbers, and what integer dot products make of them: int8 with a scale (docs/decisions/0003-activations.md).

struct Group {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
}

struct QuantizedGroup {
  codes: vec4<u32>,
  // The scale, and the scale times the sum of the codes, which minima of weights are multiplied by.
  scale: vec2<f32>,
}

fn largest(v: vec4<f32>) -> f32 {
  let m = abs(v);
  return max(max(m.x, m.y), max(m.z, m.w));
}

fn sum_of(v: vec4<i32>) -> i32 {
  return v.x + v.y + v.z + v.w;
}

fn quantize_group(group: Group) -> QuantizedGroup {
  let most = max(max(largest(group.a), largest(group.b)), max(largest(group.c), largest(group.d)));
  let inverse = select(0.0, 127.0 / most, most > 0.0);
  let scale = most / 127.0;
  let a = vec4<i32>(round(group.a * inverse));
  let b = vec4<i32>(round(group.b * inverse));
  let c = vec4<i32>(round(group.c * inverse));
  let d = vec4<i32>(round(group.d * inverse));
  let codes = vec4<u32>(pack4xI8(a), pack4xI8(b), pack4xI8(c), pack4xI8(d));
  return QuantizedGroup(codes, vec2<f32>(scale, scale * f32(sum_of(a) + sum_of(b) + sum_of(c) + sum_of(d))));
}
