// out = silu(gate) * up (SwiGLU, arXiv 2002.05202); a thread 16 columns of a row.
//
// const WIDTH: u32; with operand.wgsl

@group(0) @binding(3) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> up: array<vec4<f32>>;

fn silu(v: vec4<f32>) -> vec4<f32> {
  return v / (vec4<f32>(1.0) + exp(-v));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH / 16u) {
    return;
  }
  let at = id.y * (WIDTH / 4u) + 4u * id.x;
  store_group(
    id.y, id.x,
    silu(gate[at]) * up[at], silu(gate[at + 1u]) * up[at + 1u],
    silu(gate[at + 2u]) * up[at + 2u], silu(gate[at + 3u]) * up[at + 3u],
  );
}
