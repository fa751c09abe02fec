// silu(gate) * up (SwiGLU, arXiv 2002.05202)

fn gated(gate: vec4<f32>, up: vec4<f32>) -> vec4<f32> {
  return gate / (vec4<f32>(1.0) + exp(-gate)) * up;
}
