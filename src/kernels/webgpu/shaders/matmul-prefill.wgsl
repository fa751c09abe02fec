// Products of many rows: a workgroup computes TILE_ROWS rows x TILE_OUT output features. Each of its SLICES takes its own columns, a thread of it ROWS_EACH
// rows x 4 features. Long functions, since what a thread keeps in registers cannot be handed around. The next columns are on their way while these are
// multiplied. What limits it is reading workgroup memory, 128 bytes a clock on an H200: hence codes of 4 bits are unpacked after it, and a thread has as
// many rows and features as there are registers for.
//
// const NUM_OUT, SIZE_INDEX, ROWS_EACH, FEATURES_EACH, ROW_THREADS, FEATURE_THREADS: u32; with weights.wgsl, products.wgsl, input-operand.wgsl, output-*.wgsl

@group(0) @binding(8) var<storage, read> num_rows: array<u32>;

const SLICE_THREADS = ROW_THREADS * FEATURE_THREADS;
const WORKGROUP = SLICES * SLICE_THREADS;
const TILE_OUT = FEATURES_EACH * FEATURE_THREADS;
const TILE_ROWS = ROW_THREADS * ROWS_EACH;
/// Groups of columns at a time.
const STEP = 2u;
/// Vectors of a row in a tile: one more than there are, so that neighbours lie in different banks.
const W_VECTORS = select(2u, 1u, CODE_BITS == 4u);
const W_ROW = W_VECTORS * STEP + 1u;
const X_ROW = 2u * STEP + 1u;
/// Numbers of a scale beside the first: the minimum, or that of the upper half.
const W_SECONDS = select(1u, 0u, SCALES == 0u);
/// Rows and groups that a thread brings: of weights the same feature's groups one after another, of rows the same group's rows, as they lie.
const W_ITEMS = (TILE_OUT * STEP + SLICE_THREADS - 1u) / SLICE_THREADS;
const X_ITEMS = (TILE_ROWS * STEP + SLICE_THREADS - 1u) / SLICE_THREADS;
var<workgroup> w_tile: array<vec4<u32>, SLICES * TILE_OUT * W_ROW>;
var<workgroup> w_scale: array<f32, SLICES * TILE_OUT * STEP>;
var<workgroup> w_second: array<f32, max(1u, W_SECONDS * SLICES * TILE_OUT * STEP)>;
var<workgroup> x_tile: array<vec4<u32>, SLICES * TILE_ROWS * X_ROW>;
var<workgroup> x_scale: array<vec2<f32>, SLICES * TILE_ROWS * STEP>;
/// Scales times sums of codes, which minima want.
var<workgroup> x_sum: array<vec2<f32>, select(1u, SLICES * TILE_ROWS * STEP, SCALES == 1u)>;
/// What a slice hands to the first one.
var<workgroup> handed: array<f32, select(1u, TILE_ROWS * TILE_OUT, SLICES > 1u)>;

fn store_weights(at: u32, item: u32, codes: PackedWeights, scale: Scale) {
  w_tile[at] = codes.first;
  if (W_VECTORS == 2u) {
    w_tile[at + 1u] = codes.second;
  }
  w_scale[item] = scale.lo;
  if (W_SECONDS == 1u) {
    w_second[item] = select(scale.hi, scale.minimum, SCALES == 1u);
  }
}

fn weights_at(at: u32) -> Codes {
  if (W_VECTORS == 2u) {
    return Codes(w_tile[at], w_tile[at + 1u]);
  }
  return unpack_weights(PackedWeights(w_tile[at], vec4<u32>(0u)));
}

fn scale_at(item: u32) -> Scale {
  let scale = w_scale[item];
  if (SCALES == 0u) {
    return Scale(scale, scale, 0.0);
  }
  let second = w_second[item];
  return Scale(scale, select(scale, second, SCALES == 2u), select(0.0, second, SCALES == 1u));
}

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
  var sums = array<array<f32, FEATURES_EACH>, ROWS_EACH>();
  var totals = array<array<f32, FEATURES_EACH>, ROWS_EACH>();
  var next_w = array<PackedWeights, W_ITEMS>();
  var next_scale = array<Scale, W_ITEMS>();
  var next_x = array<Codes, X_ITEMS>();
  var next_x_scale = array<vec4<f32>, X_ITEMS>();
  for (var i = 0u; i < W_ITEMS; i++) {
    let item = i * SLICE_THREADS + thread;
    let feature = min(first_out + item / STEP, NUM_OUT - 1u);
    let group = min(first_group + item % STEP, last_group);
    next_w[i] = load_weights(feature, group);
    next_scale[i] = scale_of(feature, group);
  }
  for (var i = 0u; i < X_ITEMS; i++) {
    let item = i * SLICE_THREADS + thread;
    let row = min(first_row + item % TILE_ROWS, last_row);
    let group = min(first_group + item / TILE_ROWS, last_group);
    next_x[i] = input_codes(row, group);
    next_x_scale[i] = input_scales(row, group);
  }
  for (var group = 0u; group < SLICE_GROUPS; group += STEP) {
    for (var i = 0u; i < W_ITEMS; i++) {
      let item = i * SLICE_THREADS + thread;
      if (item < TILE_OUT * STEP) {
        store_weights((w_first + item / STEP) * W_ROW + W_VECTORS * (item % STEP), w_first * STEP + item, next_w[i], next_scale[i]);
      }
    }
    for (var i = 0u; i < X_ITEMS; i++) {
      let item = i * SLICE_THREADS + thread;
      if (item < TILE_ROWS * STEP) {
        let row = x_first + item % TILE_ROWS;
        let part = item / TILE_ROWS;
        x_tile[row * X_ROW + 2u * part] = next_x[i].lo;
        x_tile[row * X_ROW + 2u * part + 1u] = next_x[i].hi;
        x_scale[row * STEP + part] = next_x_scale[i].xz;
        if (SCALES == 1u) {
          x_sum[row * STEP + part] = next_x_scale[i].yw;
        }
      }
    }
    workgroupBarrier();
    for (var i = 0u; i < W_ITEMS; i++) {
      let item = i * SLICE_THREADS + thread;
      let feature = min(first_out + item / STEP, NUM_OUT - 1u);
      let next_group = min(first_group + group + STEP + item % STEP, last_group);
      next_w[i] = load_weights(feature, next_group);
      next_scale[i] = scale_of(feature, next_group);
    }
    for (var i = 0u; i < X_ITEMS; i++) {
      let item = i * SLICE_THREADS + thread;
      let row = min(first_row + item % TILE_ROWS, last_row);
      let next_group = min(first_group + group + STEP + item / TILE_ROWS, last_group);
      next_x[i] = input_codes(row, next_group);
      next_x_scale[i] = input_scales(row, next_group);
    }
    for (var part = 0u; part < STEP; part++) {
      if (SLICE_GROUPS % STEP == 0u || group + part < SLICE_GROUPS) {
        var codes = array<Codes, FEATURES_EACH>();
        var scale = array<Scale, FEATURES_EACH>();
        for (var j = 0u; j < FEATURES_EACH; j++) {
          let o = w_first + tx + FEATURE_THREADS * j;
          codes[j] = weights_at(o * W_ROW + W_VECTORS * part);
          scale[j] = scale_at(o * STEP + part);
        }
        for (var i = 0u; i < ROWS_EACH; i++) {
          let r = x_first + ty + ROW_THREADS * i;
          let lo = x_tile[r * X_ROW + 2u * part];
          let hi = x_tile[r * X_ROW + 2u * part + 1u];
          let scales = x_scale[r * STEP + part];
          var weighted = vec2<f32>(0.0);
          if (SCALES == 1u) {
            weighted = x_sum[r * STEP + part];
          }
          for (var j = 0u; j < FEATURES_EACH; j++) {
            sums[i][j] = add_group(sums[i][j], codes[j], scale[j], lo, hi, vec4<f32>(scales.x, weighted.x, scales.y, weighted.y));
          }
        }
      }
    }
    workgroupBarrier();
    // Segments are whole steps.
    if ((group + STEP) % SEGMENT == 0u || group + STEP >= SLICE_GROUPS) {
      for (var i = 0u; i < ROWS_EACH; i++) {
        for (var j = 0u; j < FEATURES_EACH; j++) {
          totals[i][j] += sums[i][j];
          sums[i][j] = 0.0;
        }
      }
    }
  }
  for (var other = 1u; other < SLICES; other++) {
    if (slice == other) {
      for (var i = 0u; i < ROWS_EACH; i++) {
        for (var j = 0u; j < FEATURES_EACH; j++) {
          handed[(FEATURES_EACH * i + j) * SLICE_THREADS + thread] = totals[i][j];
        }
      }
    }
    workgroupBarrier();
    if (slice == 0u) {
      for (var i = 0u; i < ROWS_EACH; i++) {
        for (var j = 0u; j < FEATURES_EACH; j++) {
          totals[i][j] += handed[(FEATURES_EACH * i + j) * SLICE_THREADS + thread];
        }
      }
    }
    workgroupBarrier();
  }
  if (slice > 0u) {
    return;
  }
  for (var i = 0u; i < ROWS_EACH; i++) {
    for (var j = 0u; j < FEATURES_EACH; j++) {
      let r = first_row + ty + ROW_THREADS * i;
      let o = first_out + tx + FEATURE_THREADS * j;
      if (r <= last_row && o < NUM_OUT) {
        store_product(r, o, totals[i][j]);
      }
    }
  }
}
