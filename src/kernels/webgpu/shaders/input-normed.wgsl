// What products take in: RMSNorm of few rows. Each workgroup makes it for itself, which takes less time than another dispatch.
//
// const ROWS, WORKGROUP: u32; with norm.wgsl, weights.wgsl

const NORM_GROUPS = NORM_WIDTH / 16u;
var<workgroup> normed_codes: array<vec4<u32>, ROWS * NORM_GROUPS>;
var<workgroup> normed_scales: array<vec2<f32>, ROWS * NORM_GROUPS>;

fn bring_input(thread: u32) {
  for (var row = 0u; row < ROWS; row++) {
    let factor = norm_factor(thread, row);
    for (var group = thread; group < NORM_GROUPS; group += WORKGROUP) {
      let quantized = quantize_group(normed_group(row, group, factor));
      let slot = slot_of(group / 2u, GROUPS);
      normed_codes[row * NORM_GROUPS + (group % 2u) * GROUPS + slot] = quantized.codes;
      normed_scales[row * NORM_GROUPS + 2u * slot + group % 2u] = quantized.scale;
    }
  }
  workgroupBarrier();
}

fn input_codes(row: u32, group: u32) -> Codes {
  let at = row * NORM_GROUPS + slot_of(group, GROUPS);
  return Codes(normed_codes[at], normed_codes[at + GROUPS]);
}

fn input_scales(row: u32, group: u32) -> vec4<f32> {
  let at = row * GROUPS + slot_of(group, GROUPS);
  return vec4<f32>(normed_scales[2u * at], normed_scales[2u * at + 1u]);
}
