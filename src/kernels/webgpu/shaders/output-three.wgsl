// Where products of matrices go that lie one after another, up to three.
//
// const END_0, END_1, NUM_OUT: u32, the first feature after each; const BIAS: bool

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> product_0: array<f32>;
@group(0) @binding(6) var<storage, read_write> product_1: array<f32>;
@group(0) @binding(7) var<storage, read_write> product_2: array<f32>;

fn store_product(row: u32, feature: u32, sum: f32) {
  var total = sum;
  if (BIAS) {
    total += bias[feature];
  }
  if (feature < END_0) {
    product_0[row * END_0 + feature] = total;
  } else if (feature < END_1) {
    product_1[row * (END_1 - END_0) + feature - END_0] = total;
  } else {
    product_2[row * (NUM_OUT - END_1) + feature - END_1] = total;
  }
}
