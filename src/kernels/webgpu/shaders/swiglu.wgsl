// out = silu(gate) * up; a thread 16 columns of a row.
//
// with gate.wgsl, operand.wgsl

@group(0) @binding(3) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> up: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= WIDTH / 16u) {
    return;
  }
  let at = id.y * (WIDTH / 4u) + 4u * id.x;
  let group = Group(
    gated(gate[at], up[at]), gated(gate[at + 1u], up[at + 1u]),
    gated(gate[at + 2u], up[at + 2u]), gated(gate[at + 3u], up[at + 3u]),
  );
  store_group(id.y, id.x, group);
}
