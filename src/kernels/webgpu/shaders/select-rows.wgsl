// out[o] = x[outputRows[o]]; a thread 4 columns.
//
// const WIDTH: u32; with step.wgsl

@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> selected: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < WIDTH / 4u) {
    selected[id.y * (WIDTH / 4u) + id.x] = x[step[OUTPUT_ROWS + id.y] * (WIDTH / 4u) + id.x];
  }
}
