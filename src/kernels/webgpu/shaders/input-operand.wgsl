// What products take in: an operand, as operand.wgsl writes it; with operand-slots.wgsl.

@group(0) @binding(3) var<storage, read> x_codes: array<vec4<u32>>;
// Of each half: its scale, and the scale times the sum of its codes.
@group(0) @binding(4) var<storage, read> x_scales: array<vec4<f32>>;

fn bring_input(thread: u32) {}

/// Codes of 16 columns, the index-th.
fn input_half(row: u32, index: u32) -> vec4<u32> {
  return x_codes[codes_slot(row, index, GROUPS)];
}

fn input_codes(row: u32, group: u32) -> Codes {
  return Codes(input_half(row, 2u * group), input_half(row, 2u * group + 1u));
}

fn input_scales(row: u32, group: u32) -> vec4<f32> {
  return x_scales[scale_slot(row, 2u * group, GROUPS) / 2u];
}
