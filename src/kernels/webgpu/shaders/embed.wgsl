// out[t] = row token(t) of the table, of those tokens that this piece of it has; a thread 4 columns.
//
// const FIRST_ROW, NUM_ROWS: u32; with step.wgsl, weights.wgsl

@group(0) @binding(3) var<storage, read_write> embedded: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let token = step[ROWS + id.y * ROW_WORDS + ROW_TOKEN];
  if (id.x < COLS / 4u && token >= FIRST_ROW && token - FIRST_ROW < NUM_ROWS) {
    embedded[id.y * (COLS / 4u) + id.x] = weights4(token - FIRST_ROW, id.x);
  }
}
