// Where products go: x W^T (+ bias), or added to what is there.
//
// const OUT_WIDTH, FIRST_OUT: u32, of the whole matrix and where this piece of it begins; const ACCUMULATE, BIAS: bool

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;

fn store_product(row: u32, feature: u32, sum: f32) {
  var total = sum;
  let at = row * OUT_WIDTH + FIRST_OUT + feature;
  if (BIAS) {
    total += bias[FIRST_OUT + feature];
  }
  if (ACCUMULATE) {
    total += product[at];
  }
  product[at] = total;
}
