// What products take in: an operand, as operand.wgsl writes it.

@group(0) @binding(3) var<storage, read> x_codes: array<vec4<u32>>;
// Of each half: its scale, and the scale times the sum of its codes.
@group(0) @binding(4) var<storage, read> x_scales: array<vec4<f32>>;

fn bring_input(thread: u32) {}

fn input_codes(row: u32, group: u32) -> Codes {
  let at = row * 2u * GROUPS + slot_of(group, GROUPS);
  return Codes(x_codes[at], x_codes[at + GROUPS]);
}

fn input_scales(row: u32, group: u32) -> vec4<f32> {
  return x_scales[row * GROUPS + slot_of(group, GROUPS)];
}
