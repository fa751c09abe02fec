// Writes operands: [rows, WIDTH] as float32 and, for integer dot products, as int8 with a scale for every 16 columns. WIDTH is a multiple of 16; where it
// is none of 32 no integer product takes the operand.
//
// const WIDTH, OPERAND_BINDING: u32; with quantize.wgsl, operand-slots.wgsl

@group(0) @binding(OPERAND_BINDING) var<storage, read_write> operand_floats: array<vec4<f32>>;
@group(0) @binding(OPERAND_BINDING + 1u) var<storage, read_write> operand_codes: array<vec4<u32>>;
@group(0) @binding(OPERAND_BINDING + 2u) var<storage, read_write> operand_scales: array<vec2<f32>>;

/// Stores 16 columns of a row, from column 16 * index on.
fn store_group(row: u32, index: u32, group: Group) {
  let at = row * (WIDTH / 16u) + index;
  operand_floats[4u * at] = group.a;
  operand_floats[4u * at + 1u] = group.b;
  operand_floats[4u * at + 2u] = group.c;
  operand_floats[4u * at + 3u] = group.d;
  let quantized = quantize_group(group);
  operand_codes[codes_slot(row, index, WIDTH / 32u)] = quantized.codes;
  operand_scales[scale_slot(row, index, WIDTH / 32u)] = quantized.scale;
}
