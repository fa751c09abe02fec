// What products take in: an operand, as operand.wgsl writes it.

@group(0) @binding(3) var<storage, read> x_codes: array<vec4<u32>>;
// Of each half: its scale, and the scale times the sum of its codes.
@group(0) @binding(4) var<storage, read> x_scales: array<vec4<f32>>;

fn bring_input(thread: u32) {}

/// Codes of the first half of a group, or of the second.
fn input_half(row: u32, group: u32, half: u32) -> vec4<u32> {
  return x_codes[(2u * row + half) * GROUPS + slot_of(group, GROUPS)];
}

fn input_codes(row: u32, group: u32) -> Codes {
  return Codes(input_half(row, group, 0u), input_half(row, group, 1u));
}

fn input_scales(row: u32, group: u32) -> vec4<f32> {
  return x_scales[row * GROUPS + slot_of(group, GROUPS)];
}
