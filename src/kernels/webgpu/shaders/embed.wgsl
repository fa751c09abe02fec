// out[t] = row token(t) of the table; a thread 4 columns.
//
// with step.wgsl, weights.wgsl

@group(0) @binding(3) var<storage, read_write> embedded: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < COLS / 4u) {
    embedded[id.y * (COLS / 4u) + id.x] = weights4(step[ROWS + id.y * ROW_WORDS + ROW_TOKEN], id.x);
  }
}
