// Products of many rows: a workgroup computes TILE_ROWS rows x TILE_OUT output features. Each of its SLICES takes its own columns, a thread of it ROWS_EACH
// rows x 4 features, so that there are enough threads for a large GPU. Long functions, since what a thread keeps in registers cannot be handed around.
// The next columns are on their way while these are multiplied.
//
// const NUM_OUT, SIZE_INDEX, ROWS_EACH, FEATURE_THREADS: u32; with weights.wgsl, products.wgsl, input-operand.wgsl, output-*.wgsl

@group(0) @binding(8) var<storage, read> num_rows: array<u32>;

const ROW_THREADS = 16u;
const SLICE_THREADS = ROW_THREADS * FEATURE_THREADS;
const WORKGROUP = SLICES * SLICE_THREADS;
const TILE_OUT = 4u * FEATURE_THREADS;
const TILE_ROWS = ROW_THREADS * ROWS_EACH;
/// Groups of columns at a time.
const STEP = 2u;
/// Vectors of a row in a tile: one more than there are, so that neighbours lie in different banks.
const ROW = 2u * STEP + 1u;
/// Rows and groups that a thread brings of x.
const X_ITEMS = (TILE_ROWS * STEP + SLICE_THREADS - 1u) / SLICE_THREADS;
var<workgroup> w_tile: array<vec4<u32>, SLICES * TILE_OUT * ROW>;
var<workgroup> w_scale: array<Scale, SLICES * TILE_OUT * STEP>;
var<workgroup> x_tile: array<vec4<u32>, SLICES * TILE_ROWS * ROW>;
var<workgroup> x_scale: array<vec4<f32>, SLICES * TILE_ROWS * STEP>;
/// What a slice hands to the first one.
var<workgroup> handed: array<f32, select(1u, TILE_ROWS * TILE_OUT, SLICES > 1u)>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) invocation: u32) {
  let slice = invocation / SLICE_THREADS;
  let thread = invocation % SLICE_THREADS;
  let w_first = slice * TILE_OUT;
  let x_first = slice * TILE_ROWS;
  let first_group = slice * SLICE_GROUPS;
  let last_group = first_group + SLICE_GROUPS - 1u;
  let first_row = workgroup.y * TILE_ROWS;
  let first_out = workgroup.x * TILE_OUT;
  let tx = thread % FEATURE_THREADS;
  let ty = thread / FEATURE_THREADS;
  let last_row = num_rows[SIZE_INDEX] - 1u;
  let w_slot = (thread / STEP) % TILE_OUT;
  let feature = min(first_out + w_slot, NUM_OUT - 1u);
  let in_step = thread % STEP;
  var sums: array<array<f32, 4>, ROWS_EACH>;
  var totals: array<array<f32, 4>, ROWS_EACH>;
  var next_codes = codes_of(feature, min(first_group + in_step, last_group));
  var next_scale = scale_of(feature, min(first_group + in_step, last_group));
  var next_x: array<Codes, X_ITEMS>;
  var next_x_scale: array<vec4<f32>, X_ITEMS>;
  for (var i = 0u; i < X_ITEMS; i++) {
    let item = i * SLICE_THREADS + thread;
    let row = min(first_row + item / STEP, last_row);
    next_x[i] = input_codes(row, min(first_group + item % STEP, last_group));
    next_x_scale[i] = input_scales(row, min(first_group + item % STEP, last_group));
  }
  for (var group = 0u; group < SLICE_GROUPS; group += STEP) {
    if (thread < TILE_OUT * STEP) {
      w_tile[(w_first + w_slot) * ROW + 2u * in_step] = next_codes.lo;
      w_tile[(w_first + w_slot) * ROW + 2u * in_step + 1u] = next_codes.hi;
      w_scale[(w_first + w_slot) * STEP + in_step] = next_scale;
    }
    for (var i = 0u; i < X_ITEMS; i++) {
      let item = i * SLICE_THREADS + thread;
      if (item < TILE_ROWS * STEP) {
        x_tile[(x_first + item / STEP) * ROW + 2u * (item % STEP)] = next_x[i].lo;
        x_tile[(x_first + item / STEP) * ROW + 2u * (item % STEP) + 1u] = next_x[i].hi;
        x_scale[x_first * STEP + item] = next_x_scale[i];
      }
    }
    workgroupBarrier();
    let next = min(first_group + group + STEP + in_step, last_group);
    next_codes = codes_of(feature, next);
    next_scale = scale_of(feature, next);
    for (var i = 0u; i < X_ITEMS; i++) {
      let item = i * SLICE_THREADS + thread;
      let row = min(first_row + item / STEP, last_row);
      let next_group = min(first_group + group + STEP + item % STEP, last_group);
      next_x[i] = input_codes(row, next_group);
      next_x_scale[i] = input_scales(row, next_group);
    }
    for (var part = 0u; part < STEP; part++) {
      if (group + part < SLICE_GROUPS) {
        // Into registers once for all rows: reading workgroup memory is what takes the most.
        var codes: array<Codes, 4>;
        var scale: array<Scale, 4>;
        for (var j = 0u; j < 4u; j++) {
          let o = w_first + tx + FEATURE_THREADS * j;
          codes[j] = Codes(w_tile[o * ROW + 2u * part], w_tile[o * ROW + 2u * part + 1u]);
          scale[j] = w_scale[o * STEP + part];
        }
        for (var i = 0u; i < ROWS_EACH; i++) {
          let r = x_first + ty + ROW_THREADS * i;
          let lo = x_tile[r * ROW + 2u * part];
          let hi = x_tile[r * ROW + 2u * part + 1u];
          let scales = x_scale[r * STEP + part];
          for (var j = 0u; j < 4u; j++) {
            sums[i][j] = add_group(sums[i][j], codes[j], scale[j], lo, hi, scales);
          }
        }
      }
    }
    workgroupBarrier();
    // Segments are whole steps.
    if ((group + STEP) % SEGMENT == 0u || group + STEP >= SLICE_GROUPS) {
      for (var i = 0u; i < ROWS_EACH; i++) {
        for (var j = 0u; j < 4u; j++) {
          totals[i][j] += sums[i][j];
          sums[i][j] = 0.0;
        }
      }
    }
  }
  for (var other = 1u; other < SLICES; other++) {
    if (slice == other) {
      for (var i = 0u; i < ROWS_EACH; i++) {
        for (var j = 0u; j < 4u; j++) {
          handed[(4u * i + j) * SLICE_THREADS + thread] = totals[i][j];
        }
      }
    }
    workgroupBarrier();
    if (slice == 0u) {
      for (var i = 0u; i < ROWS_EACH; i++) {
        for (var j = 0u; j < 4u; j++) {
          totals[i][j] += handed[(4u * i + j) * SLICE_THREADS + thread];
        }
      }
    }
    workgroupBarrier();
  }
  if (slice > 0u) {
    return;
  }
  for (var i = 0u; i < ROWS_EACH; i++) {
    for (var j = 0u; j < 4u; j++) {
      let r = first_row + ty + ROW_THREADS * i;
      let o = first_out + tx + FEATURE_THREADS * j;
      if (r <= last_row && o < NUM_OUT) {
        store_product(r, o, totals[i][j]);
      }
    }
  }
}
