// Products of many rows: a workgroup computes TILE_ROWS rows x TILE_OUT output features. Each of its TEAMS of threads takes every TEAMS-th segment of columns, a
// thread of it ROWS_EACH rows x 4 features; what teams have summed up is put together in order of segments. Long functions, since what a thread keeps in
// registers cannot be handed around. The next columns are on their way while these are multiplied. What limits it is reading workgroup memory, 128 bytes a clock
// on an H200: hence codes of 4 bits are unpacked after it, and a thread has as many rows and features as there are registers for (8 x 8 take twice as long).
//
// const NUM_OUT, SIZE_INDEX, TEAMS, BUFFERS, ROWS_EACH, ROW_THREADS, FEATURE_THREADS: u32; with weights.wgsl, products.wgsl, input-operand.wgsl, output-*.wgsl

@group(0) @binding(8) var<storage, read> num_rows: array<u32>;

const FEATURES_EACH = 4u;
const TEAM_THREADS = ROW_THREADS * FEATURE_THREADS;
const WORKGROUP = TEAMS * TEAM_THREADS;
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
const W_ITEMS = (TILE_OUT * STEP + TEAM_THREADS - 1u) / TEAM_THREADS;
const X_ITEMS = (TILE_ROWS * STEP + TEAM_THREADS - 1u) / TEAM_THREADS;
/// Vectors of a tile, weights and rows; and of what a team hands on: of each thread ROWS_EACH times the sums of 4 features, of which a thread puts OWN_ROWS together.
const TILE_VECTORS = TILE_OUT * W_ROW + TILE_ROWS * X_ROW;
const HANDED_VECTORS = select(0u, ROWS_EACH * TEAM_THREADS, TEAMS > 1u);
const OWN_ROWS = (ROWS_EACH + TEAMS - 1u) / TEAMS;
/// Of each team BUFFERS tiles, which take turns so that a barrier less is needed; in between, what it hands on.
const TILES = BUFFERS * TEAMS;
var<workgroup> vectors: array<vec4<u32>, max(TILES * TILE_VECTORS, TEAMS * HANDED_VECTORS)>;
var<workgroup> w_scale: array<f32, TILES * TILE_OUT * STEP>;
var<workgroup> w_second: array<f32, max(1u, W_SECONDS * TILES * TILE_OUT * STEP)>;
var<workgroup> x_scale: array<vec2<f32>, TILES * TILE_ROWS * STEP>;
/// Scales times sums of codes, which minima want.
var<workgroup> x_sum: array<vec2<f32>, select(1u, TILES * TILE_ROWS * STEP, SCALES == 1u)>;

fn store_weights(at: u32, item: u32, codes: PackedWeights, scale: Scale) {
  vectors[at] = codes.first;
  if (W_VECTORS == 2u) {
    vectors[at + 1u] = codes.second;
  }
  w_scale[item] = scale.lo;
  if (W_SECONDS == 1u) {
    w_second[item] = select(scale.hi, scale.minimum, SCALES == 1u);
  }
}

fn weights_at(at: u32) -> Codes {
  if (W_VECTORS == 2u) {
    return Codes(vectors[at], vectors[at + 1u]);
  }
  return unpack_weights(PackedWeights(vectors[at], vec4<u32>(0u)));
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
  let team = invocation / TEAM_THREADS;
  let thread = invocation % TEAM_THREADS;
  let first_row = workgroup.y * TILE_ROWS;
  let first_out = workgroup.x * TILE_OUT;
  let tx = thread % FEATURE_THREADS;
  let ty = thread / FEATURE_THREADS;
  let last_row = num_rows[SIZE_INDEX] - 1u;
  var totals = array<vec4<f32>, OWN_ROWS>();
  var next_w = array<PackedWeights, W_ITEMS>();
  var next_scale = array<Scale, W_ITEMS>();
  var next_x = array<Codes, X_ITEMS>();
  var next_x_scale = array<vec4<f32>, X_ITEMS>();
  for (var i = 0u; i < W_ITEMS; i++) {
    let item = i * TEAM_THREADS + thread;
    let feature = min(first_out + item / STEP, NUM_OUT - 1u);
    let group = min(team * SEGMENT + item % STEP, GROUPS - 1u);
    next_w[i] = load_weights(feature, group);
    next_scale[i] = scale_of(feature, group);
  }
  for (var i = 0u; i < X_ITEMS; i++) {
    let item = i * TEAM_THREADS + thread;
    let row = min(first_row + item % TILE_ROWS, last_row);
    let group = min(team * SEGMENT + item / TILE_ROWS, GROUPS - 1u);
    next_x[i] = input_codes(row, group);
    next_x_scale[i] = input_scales(row, group);
  }
  for (var first_segment = 0u; first_segment < SEGMENTS; first_segment += TEAMS) {
    let first_group = (first_segment + team) * SEGMENT;
    var sums = array<array<f32, FEATURES_EACH>, ROWS_EACH>();
    for (var of_segment = 0u; of_segment < SEGMENT; of_segment += STEP) {
      let tile = (of_segment / STEP) % BUFFERS * TEAMS + team;
      let w_tile = tile * TILE_VECTORS;
      let x_tile = w_tile + TILE_OUT * W_ROW;
      let w_scales = tile * TILE_OUT * STEP;
      let x_scales = tile * TILE_ROWS * STEP;
      for (var i = 0u; i < W_ITEMS; i++) {
        let item = i * TEAM_THREADS + thread;
        if (item < TILE_OUT * STEP) {
          store_weights(w_tile + (item / STEP) * W_ROW + W_VECTORS * (item % STEP), w_scales + item, next_w[i], next_scale[i]);
        }
      }
      for (var i = 0u; i < X_ITEMS; i++) {
        let item = i * TEAM_THREADS + thread;
        if (item < TILE_ROWS * STEP) {
          let row = item % TILE_ROWS;
          let part = item / TILE_ROWS;
          vectors[x_tile + row * X_ROW + 2u * part] = next_x[i].lo;
          vectors[x_tile + row * X_ROW + 2u * part + 1u] = next_x[i].hi;
          x_scale[x_scales + row * STEP + part] = next_x_scale[i].xz;
          if (SCALES == 1u) {
            x_sum[x_scales + row * STEP + part] = next_x_scale[i].yw;
          }
        }
      }
      workgroupBarrier();
      let next_group = first_group + select(of_segment + STEP, TEAMS * SEGMENT, of_segment + STEP >= SEGMENT);
      for (var i = 0u; i < W_ITEMS; i++) {
        let item = i * TEAM_THREADS + thread;
        let feature = min(first_out + item / STEP, NUM_OUT - 1u);
        let group = min(next_group + item % STEP, GROUPS - 1u);
        next_w[i] = load_weights(feature, group);
        next_scale[i] = scale_of(feature, group);
      }
      for (var i = 0u; i < X_ITEMS; i++) {
        let item = i * TEAM_THREADS + thread;
        let row = min(first_row + item % TILE_ROWS, last_row);
        let group = min(next_group + item / TILE_ROWS, GROUPS - 1u);
        next_x[i] = input_codes(row, group);
        next_x_scale[i] = input_scales(row, group);
      }
      for (var part = 0u; part < STEP; part++) {
        if (GROUPS % (SEGMENT * TEAMS) == 0u || first_group + of_segment + part < GROUPS) {
          var codes = array<Codes, FEATURES_EACH>();
          var scale = array<Scale, FEATURES_EACH>();
          for (var j = 0u; j < FEATURES_EACH; j++) {
            let o = tx + FEATURE_THREADS * j;
            codes[j] = weights_at(w_tile + o * W_ROW + W_VECTORS * part);
            scale[j] = scale_at(w_scales + o * STEP + part);
          }
          for (var i = 0u; i < ROWS_EACH; i++) {
            let r = ty + ROW_THREADS * i;
            let lo = vectors[x_tile + r * X_ROW + 2u * part];
            let hi = vectors[x_tile + r * X_ROW + 2u * part + 1u];
            let scales = x_scale[x_scales + r * STEP + part];
            var weighted = vec2<f32>(0.0);
            if (SCALES == 1u) {
              weighted = x_sum[x_scales + r * STEP + part];
            }
            for (var j = 0u; j < FEATURES_EACH; j++) {
              sums[i][j] = add_group(sums[i][j], codes[j], scale[j], lo, hi, vec4<f32>(scales.x, weighted.x, scales.y, weighted.y));
            }
          }
        }
      }
      if (BUFFERS == 1u) {
        workgroupBarrier();
      }
    }
    if (TEAMS == 1u) {
      for (var i = 0u; i < ROWS_EACH; i++) {
        totals[i] += vec4<f32>(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
      }
    } else {
      if (BUFFERS > 1u) {
        workgroupBarrier();
      }
      for (var i = 0u; i < ROWS_EACH; i++) {
        let handed = vec4<f32>(sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
        vectors[(team * ROWS_EACH + i) * TEAM_THREADS + thread] = bitcast<vec4<u32>>(handed);
      }
      workgroupBarrier();
      for (var own = 0u; own < OWN_ROWS; own++) {
        let i = min(own * TEAMS + team, ROWS_EACH - 1u);
        for (var other = 0u; other < TEAMS; other++) {
          if (SEGMENTS % TEAMS == 0u || first_segment + other < SEGMENTS) {
            totals[own] += bitcast<vec4<f32>>(vectors[(other * ROWS_EACH + i) * TEAM_THREADS + thread]);
          }
        }
      }
      workgroupBarrier();
    }
  }
  for (var own = 0u; own < OWN_ROWS; own++) {
    let i = own * TEAMS + team;
    let r = first_row + ty + ROW_THREADS * i;
    for (var j = 0u; j < FEATURES_EACH; j++) {
      let o = first_out + tx + FEATURE_THREADS * j;
      if (i < ROWS_EACH && r <= last_row && o < NUM_OUT) {
        store_product(r, o, totals[own][j]);
      }
    }
  }
}
