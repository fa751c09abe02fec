// Seals a tile, step by step as docs/page-format.md says under "Sealing". Divisions and roots may differ from it in their last bit, as WGSL
// lets them, and so a code now and then. A workgroup a tile; rows are channels of K, tokens of V.
//
// const HEAD_DIM, NUM_KV_HEADS, NUM_LAYERS, BITS, SEALS: u32; const IS_KEY, FEEDBACK: bool; with step.wgsl

struct Layer {
  header: vec4<u32>,
  high: vec4<u32>,
  low: vec4<u32>,
  // Layers lie as far apart as uniform buffers can start.
  unused: array<vec4<u32>, 13>,
}

@group(0) @binding(1) var<storage, read_write> arena: array<u32>;
@group(0) @binding(2) var<uniform> layers: array<Layer, NUM_LAYERS>;
// Of each layer [NUM_KV_HEADS, HEAD_DIM, HEAD_DIM]: what channels take of the errors of later ones.
@group(0) @binding(3) var<storage, read> feedback: array<f32>;

const TOKENS = 64u;
const WORKGROUP = 64u;
const NUM_ROWS = select(TOKENS, HEAD_DIM, IS_KEY);
const NUM_COLS = select(HEAD_DIM, TOKENS, IS_KEY);
const MOST_ROWS = max(TOKENS, HEAD_DIM);
const MAX_CODE = f32((1u << min(BITS, 8u)) - 1u);
const MIN_DEVIATION = 1e-6;
const LEAST_FIT = 0.5;
const MOST_FIT = 2.5;
/// Codes of few bits are spread over a part of the range, and then fitted.
const IS_SPREAD = BITS < 4u;
const UNBIASED = !IS_KEY || FEEDBACK;
const RANGE = select(
  select(0.75, 0.9, BITS == 3u),
  select(select(0.75, 0.9, BITS == 2u), 1.0, BITS == 3u || FEEDBACK),
  IS_KEY,
);
const DOWN = 0u;
const UP = 1u;
const NEAREST = 2u;

var<workgroup> deviations: array<f32, HEAD_DIM>;
var<workgroup> factors: array<f32, TOKENS>;
// Of a row: what codes count from, and a code's step.
var<workgroup> zeros: array<f32, MOST_ROWS>;
var<workgroup> scales: array<f32, MOST_ROWS>;
// What is stored as bytes at the moment.
var<workgroup> numbers: array<f32, MOST_ROWS>;
// Codes of rows, four to a word.
var<workgroup> codes: array<atomic<u32>, TOKENS * HEAD_DIM / 4u>;

struct Tile {
  open: u32,
  header: u32,
  high: u32,
  low: u32,
}

fn element(tile: Tile, token: u32, channel: u32) -> f32 {
  let pair = unpack2x16float(arena[tile.open + (token * HEAD_DIM + channel) / 2u]);
  return select(pair.x, pair.y, (channel & 1u) == 1u);
}

/// Values of K are divided by their token's factor first.
fn value(tile: Tile, row: u32, col: u32) -> f32 {
  if (IS_KEY) {
    return element(tile, col, row) * (1.0 / factors[col]);
  }
  return element(tile, row, col);
}

fn sum_lanes(lanes: vec4<f32>) -> f32 {
  return (lanes.x + lanes.y) + (lanes.z + lanes.w);
}

/// Steps 1 and 2: how large tokens are where every channel has been divided by its deviation.
fn find_factors(tile: Tile, thread: u32) {
  for (var c = thread; c < HEAD_DIM; c += WORKGROUP) {
    var sum = 0.0;
    for (var t = 0u; t < TOKENS; t++) {
      sum += element(tile, t, c);
    }
    let mean = sum / f32(TOKENS);
    var squares = 0.0;
    for (var t = 0u; t < TOKENS; t++) {
      let difference = element(tile, t, c) - mean;
      squares += difference * difference;
    }
    deviations[c] = max(sqrt(squares / f32(TOKENS)), MIN_DEVIATION);
  }
  workgroupBarrier();
  var lanes = vec4<f32>(0.0);
  for (var c = 0u; c < HEAD_DIM; c++) {
    lanes[c & 3u] += element(tile, thread, c) / deviations[c];
  }
  let mean = sum_lanes(lanes) / f32(HEAD_DIM);
  lanes = vec4<f32>(0.0);
  for (var c = 0u; c < HEAD_DIM; c++) {
    let difference = element(tile, thread, c) / deviations[c] - mean;
    lanes[c & 3u] += difference * difference;
  }
  numbers[thread] = max(sqrt(sum_lanes(lanes) / f32(HEAD_DIM)), MIN_DEVIATION);
  workgroupBarrier();
}

/// Stores `count` numbers as bytes from `word` on, with their least and step at `header`, and puts what the bytes stand for in their place.
fn encode_numbers(count: u32, rounding: u32, header: u32, word: u32, thread: u32) {
  var lo = numbers[0];
  var hi = numbers[0];
  for (var i = 1u; i < count; i++) {
    lo = min(lo, numbers[i]);
    hi = max(hi, numbers[i]);
  }
  let size = (hi - lo) / 255.0;
  workgroupBarrier();
  for (var i = thread; i < count / 4u; i += WORKGROUP) {
    var bytes = vec4<u32>(0u);
    for (var j = 0u; j < 4u; j++) {
      let steps = select(0.0, (numbers[4u * i + j] - lo) / size, size != 0.0);
      let rounded = select(select(trunc(steps), ceil(steps), rounding == UP), trunc(steps + 0.5), rounding == NEAREST);
      bytes[j] = u32(clamp(rounded, 0.0, 255.0));
      numbers[4u * i + j] = lo + size * f32(bytes[j]);
    }
    arena[word + i] = pack4xU8(bytes);
  }
  if (thread == 0u) {
    arena[header] = bitcast<u32>(lo);
    arena[header + 1u] = bitcast<u32>(size);
  }
  workgroupBarrier();
}

/// Least and greatest of a row, drawn towards its mean where codes are spread; the mean comes third.
fn range_of(tile: Tile, row: u32) -> vec3<f32> {
  var lo = value(tile, row, 0u);
  var hi = lo;
  var lanes = vec4<f32>(0.0);
  for (var col = 0u; col < NUM_COLS; col++) {
    let v = value(tile, row, col);
    lo = min(lo, v);
    hi = max(hi, v);
    lanes[col & 3u] += v;
  }
  let mean = sum_lanes(lanes) / f32(NUM_COLS);
  if (IS_SPREAD && RANGE != 1.0) {
    lo = mean + (lo - mean) * RANGE;
    hi = mean + (hi - mean) * RANGE;
  }
  return vec3<f32>(lo, hi, mean);
}

fn choose_code(target_value: f32, row: u32) -> f32 {
  let inverse = select(0.0, 1.0 / scales[row], scales[row] != 0.0);
  return clamp(trunc((target_value - zeros[row]) * inverse + 0.5), 0.0, MAX_CODE);
}

fn store_code(row: u32, col: u32, code: f32) {
  let at = row * NUM_COLS + col;
  atomicOr(&codes[at / 4u], u32(code) << (8u * (at & 3u)));
}

fn code_at(row: u32, col: u32) -> u32 {
  let at = row * NUM_COLS + col;
  return (atomicLoad(&codes[at / 4u]) >> (8u * (at & 3u))) & 0xffu;
}

fn choose_codes(tile: Tile, matrix: u32, thread: u32) {
  if (FEEDBACK) {
    // A thread a token: channels from the last on, each moved by what those after it lost.
    var moves: array<f32, HEAD_DIM>;
    for (var i = 0u; i < HEAD_DIM; i++) {
      let row = HEAD_DIM - 1u - i;
      let y = value(tile, row, thread);
      let code = choose_code(y - moves[row], row);
      store_code(row, thread, code);
      let error = (code * scales[row] + zeros[row]) - y;
      let factors_at = (matrix * HEAD_DIM + row) * HEAD_DIM;
      for (var before = 0u; before < row; before++) {
        moves[before] += feedback[factors_at + before] * error;
      }
    }
  } else {
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      for (var col = 0u; col < NUM_COLS; col++) {
        store_code(row, col, choose_code(value(tile, row, col), row));
      }
    }
  }
  workgroupBarrier();
}

/// Scale, mean and mean code of a row whose codes have been chosen.
fn fit_row(tile: Tile, row: u32) -> vec3<f32> {
  let mean = range_of(tile, row).z;
  var lanes = vec4<f32>(0.0);
  for (var col = 0u; col < NUM_COLS; col++) {
    lanes[col & 3u] += f32(code_at(row, col));
  }
  let mean_code = sum_lanes(lanes) / f32(NUM_COLS);
  var yy = vec4<f32>(0.0);
  var yk = vec4<f32>(0.0);
  var kk = vec4<f32>(0.0);
  for (var col = 0u; col < NUM_COLS; col++) {
    let dy = value(tile, row, col) - mean;
    let dk = f32(code_at(row, col)) - mean_code;
    yy[col & 3u] += dy * dy;
    yk[col & 3u] += dy * dk;
    kk[col & 3u] += dk * dk;
  }
  let chosen = scales[row];
  let cross = sum_lanes(yk);
  let spread = sum_lanes(kk);
  if (!(cross > 0.0 && spread > 0.0)) {
    return vec3<f32>(chosen, mean, mean_code);
  }
  let fitted = select(sqrt(sum_lanes(yy) / spread), sum_lanes(yy) / cross, UNBIASED);
  return vec3<f32>(min(max(fitted, chosen * LEAST_FIT), chosen * MOST_FIT), mean, mean_code);
}

/// Writes one plane: byte i of a group of n bytes has code i + n * j at bit j * width.
fn write_plane(width: u32, shift: u32, first: u32, thread: u32) {
  const PLANE_ROWS = select(HEAD_DIM, TOKENS, IS_KEY);
  const PLANE_COLS = select(TOKENS, HEAD_DIM, IS_KEY);
  let padded = ((PLANE_COLS + 31u) / 32u) * 32u;
  let row_words = padded * width / 32u;
  let group_words = select(4u, 2u, width == 1u);
  let group_codes = 32u * group_words / width;
  let mask = (1u << width) - 1u;
  for (var i = thread; i < PLANE_ROWS * row_words; i += WORKGROUP) {
    let row = i / row_words;
    let word = i % row_words;
    let group_first = (word / group_words) * group_codes;
    let num_bytes = 4u * select(group_words, group_words / 2u, padded - group_first < group_codes);
    var bits = 0u;
    for (var byte = 0u; byte < 4u; byte++) {
      for (var j = 0u; j < 8u / width; j++) {
        let col = group_first + 4u * (word % group_words) + byte + num_bytes * j;
        if (col < PLANE_COLS) {
          let code = code_at(col, row);
          bits |= ((code >> shift) & mask) << (8u * byte + j * width);
        }
      }
    }
    arena[first + i] = bits;
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let item = SEALS + (first_of(FORMAT_SEALS) + workgroup.x) * 2u;
  let head = workgroup.y % NUM_KV_HEADS;
  let index = workgroup.y / NUM_KV_HEADS;
  let header = layers[index].header;
  let high = layers[index].high;
  let low = layers[index].low;
  let side = select(1u, 0u, IS_KEY);
  let sealed = step[item + 1u];
  let tile = Tile(
    step[item] + ((header.w * NUM_KV_HEADS + head) * 2u + side) * TOKENS * HEAD_DIM / 2u,
    sealed + header.x + head * header.y + side * header.z,
    sealed + high.x + head * high.y + side * high.z,
    sealed + low.x + head * low.y + side * low.z,
  );
  if (BITS == 16u) {
    for (var i = thread; i < TOKENS * HEAD_DIM / 2u; i += WORKGROUP) {
      arena[tile.high + i] = arena[tile.open + i];
    }
    return;
  }
  var s_header = tile.header;
  var s_bytes = tile.header + 4u;
  if (IS_KEY) {
    find_factors(tile, thread);
    encode_numbers(TOKENS, UP, tile.header, tile.header + 8u, thread);
    factors[thread] = numbers[thread];
    workgroupBarrier();
    s_header = tile.header + 2u;
    s_bytes = tile.header + 8u + TOKENS / 4u;
  }
  let z_bytes = s_bytes + NUM_ROWS / 4u;
  for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
    let range = range_of(tile, row);
    zeros[row] = range.x;
    scales[row] = (range.y - range.x) / MAX_CODE;
    numbers[row] = range.x;
  }
  workgroupBarrier();
  if (IS_SPREAD) {
    choose_codes(tile, workgroup.y, thread);
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      let fitted = fit_row(tile, row);
      numbers[row] = fitted.x;
      zeros[row] = fitted.y;
      scales[row] = fitted.z;
    }
    workgroupBarrier();
    encode_numbers(NUM_ROWS, NEAREST, s_header, s_bytes, thread);
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      numbers[row] = zeros[row] - numbers[row] * scales[row];
    }
    workgroupBarrier();
    encode_numbers(NUM_ROWS, NEAREST, s_header + 2u, z_bytes, thread);
  } else {
    encode_numbers(NUM_ROWS, DOWN, s_header + 2u, z_bytes, thread);
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      zeros[row] = numbers[row];
      numbers[row] = (range_of(tile, row).y - zeros[row]) / MAX_CODE;
    }
    workgroupBarrier();
    encode_numbers(NUM_ROWS, UP, s_header, s_bytes, thread);
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      scales[row] = numbers[row];
    }
    workgroupBarrier();
    choose_codes(tile, workgroup.y, thread);
  }
  const HIGH = select(select(4u, 2u, BITS < 4u), 1u, BITS == 1u);
  const LOW = min(BITS, 8u) - HIGH;
  write_plane(HIGH, LOW, tile.high, thread);
  if (LOW > 0u) {
    write_plane(LOW, 0u, tile.low, thread);
  }
}
