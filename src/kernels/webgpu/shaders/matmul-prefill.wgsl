// out = x W^T (+ bias), or out += x W^T, of many rows: a workgroup computes 64 rows x 64 output features, a thread 4 x 4 of them. A long
// function, since what a thread keeps in registers cannot be handed around.
//
// const NUM_OUT: u32; const ACCUMULATE, BIAS: bool; with step.wgsl's NUM_ROWS, weights.wgsl, products.wgsl

@group(0) @binding(0) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> x_codes: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> x_scales: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> product: array<f32>;
@group(0) @binding(6) var<storage, read> num_rows: array<u32>;

const TILE = 64u;
/// Of a row in a tile: one vector more than there are, so that neighbours lie in different banks.
const ROW = 3u;
var<workgroup> w_tile: array<vec4<u32>, TILE * ROW>;
var<workgroup> w_scale: array<Scale, TILE>;
var<workgroup> x_tile: array<vec4<u32>, TILE * ROW>;
var<workgroup> x_scale: array<vec4<f32>, TILE>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first_row = workgroup.y * TILE;
  let first_out = workgroup.x * TILE;
  let tx = thread % 16u;
  let ty = thread / 16u;
  var sums: array<array<f32, 4>, 4>;
  var totals: array<array<f32, 4>, 4>;
  let loads_w = thread < TILE;
  let loads_x = thread >= TILE && thread < 2u * TILE;
  let slot = thread % TILE;
  let feature = min(first_out + slot, NUM_OUT - 1u);
  let row = min(first_row + slot, num_rows[SIZE_INDEX] - 1u);
  for (var group = 0u; group < GROUPS; group++) {
    if (loads_w) {
      let codes = codes_of(feature, group);
      w_tile[slot * ROW] = codes.lo;
      w_tile[slot * ROW + 1u] = codes.hi;
      w_scale[slot] = scale_of(feature, group);
    }
    if (loads_x) {
      let at = row * GROUPS + group;
      x_tile[slot * ROW] = x_codes[2u * at];
      x_tile[slot * ROW + 1u] = x_codes[2u * at + 1u];
      x_scale[slot] = x_scales[at];
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      let r = ty + 16u * i;
      let lo = x_tile[r * ROW];
      let hi = x_tile[r * ROW + 1u];
      let scales = x_scale[r];
      for (var j = 0u; j < 4u; j++) {
        let o = tx + 16u * j;
        sums[i][j] = add_group(sums[i][j], Codes(w_tile[o * ROW], w_tile[o * ROW + 1u]), w_scale[o], lo, hi, scales);
      }
    }
    workgroupBarrier();
    if (group % SEGMENT == SEGMENT - 1u || group == GROUPS - 1u) {
      for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
          totals[i][j] += sums[i][j];
          sums[i][j] = 0.0;
        }
      }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) {
      let r = first_row + ty + 16u * i;
      let o = first_out + tx + 16u * j;
      if (r < num_rows[SIZE_INDEX] && o < NUM_OUT) {
        var total = totals[i][j];
        if (BIAS) {
          total += bias[o];
        }
        if (ACCUMULATE) {
          total += product[r * NUM_OUT + o];
        }
        product[r * NUM_OUT + o] = total;
      }
    }
  }
}
