// The state of an online softmax, and how states of consecutive tokens are put together (arXiv 2205.14135).

/// Below every score; infinity would make differences of it.
const LEAST = -1e30;

struct State {
  most: vec4<f32>,
  sum: vec4<f32>,
}

/// What either side is multiplied by when two states are put together.
struct Factors {
  most: vec4<f32>,
  before: vec4<f32>,
  after: vec4<f32>,
}

fn factors_of(before: vec4<f32>, after: vec4<f32>) -> Factors {
  let most = max(before, after);
  return Factors(most, exp(before - most), exp(after - most));
}
