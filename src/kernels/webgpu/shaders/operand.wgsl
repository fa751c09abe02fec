// Writes operands: [rows, WIDTH] as float32 and, for integer dot products, as int8 with a scale for every 16 columns
// (docs/decisions/0003-activations.md). WIDTH is a multiple of 16.
//
// const WIDTH: u32; binding 0..2

@group(0) @binding(0) var<storage, read_write> operand_floats: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> operand_codes: array<vec4<u32>>;
// Of a group: its scale, and the scale times the sum of its codes, which minima of weights are multiplied by.
@group(0) @binding(2) var<storage, read_write> operand_scales: array<vec2<f32>>;

fn largest(v: vec4<f32>) -> f32 {
  let m = abs(v);
  return max(max(m.x, m.y), max(m.z, m.w));
}

fn sum_of(v: vec4<i32>) -> i32 {
  return v.x + v.y + v.z + v.w;
}

/// Stores 16 columns of a row, from column 16 * group on.
fn store_group(row: u32, group: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
  let index = row * (WIDTH / 16u) + group;
  operand_floats[4u * index] = a;
  operand_floats[4u * index + 1u] = b;
  operand_floats[4u * index + 2u] = c;
  operand_floats[4u * index + 3u] = d;
  let most = max(max(largest(a), largest(b)), max(largest(c), largest(d)));
  let inverse = select(0.0, 127.0 / most, most > 0.0);
  let scale = most / 127.0;
  let qa = vec4<i32>(round(a * inverse));
  let qb = vec4<i32>(round(b * inverse));
  let qc = vec4<i32>(round(c * inverse));
  let qd = vec4<i32>(round(d * inverse));
  operand_codes[index] = vec4<u32>(pack4xI8(qa), pack4xI8(qb), pack4xI8(qc), pack4xI8(qd));
  operand_scales[index] = vec2<f32>(scale, scale * f32(sum_of(qa) + sum_of(qb) + sum_of(qc) + sum_of(qd)));
}
