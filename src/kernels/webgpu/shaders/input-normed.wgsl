// What products take in: RMSNorm of few rows. Each workgroup makes it for itself, which takes less time than another dispatch.
//
// const ROWS, WORKGROUP: u32; with norm.wgsl, weights.wgsl, operand-slots.wgsl

const NORM_GROUPS = NORM_WIDTH / 16u;
var<workgroup> normed_codes: array<vec4<u32>, ROWS * NORM_GROUPS>;
var<workgroup> normed_scales: array<vec2<f32>, ROWS * NORM_GROUPS>;

fn bring_input(thread: u32) {
  for (var row = 0u; row < ROWS; row++) {
    let factor = norm_factor(thread, row);
    for (var group = thread; group < NORM_GROUPS; group += WORKGROUP) {
      let quantized = quantize_group(normed_group(row, group, factor));
      normed_codes[codes_slot(row, group, GROUPS)] = quantized.codes;
      normed_scales[scale_slot(row, group, GROUPS)] = quantized.scale;
    }
  }
  workgroupBarrier();
}

fn input_codes(row: u32, group: u32) -> Codes {
  return Codes(normed_codes[codes_slot(row, 2u * group, GROUPS)], normed_codes[codes_slot(row, 2u * group + 1u, GROUPS)]);
}

fn input_scales(row: u32, group: u32) -> vec4<f32> {
  return vec4<f32>(normed_scales[scale_slot(row, 2u * group, GROUPS)], normed_scales[scale_slot(row, 2u * group + 1u, GROUPS)]);
}
