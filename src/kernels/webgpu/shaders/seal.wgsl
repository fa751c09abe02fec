// Seals a tile, step by step as docs/page-format.md says under "Sealing": the same bytes on every device. A workgroup a tile, 4 threads a row, a lane of its
// sums each; rows are channels of K, tokens of V.
//
// const HEAD_DIM, NUM_KV_HEADS, NUM_LAYERS, BITS, SEALS: u32; const IS_KEY, FEEDBACK: bool; with step.wgsl, exact.wgsl

struct Layer {
  header: vec4<u32>,
  high: vec4<u32>,
  low: vec4<u32>,
  // Layers lie as far apart as uniform buffers can start.
  zeros: array<vec4<u32>, 13>,
}

@group(0) @binding(1) var<storage, read_write> arena: array<u32>;
@group(0) @binding(2) var<uniform> layers: array<Layer, NUM_LAYERS>;
// Of each layer [NUM_KV_HEADS, HEAD_DIM, HEAD_DIM]: what channels take of the errors of later ones.
@group(0) @binding(3) var<storage, read> feedback: array<f32>;

const TOKENS = 64u;
const WORKGROUP = 256u;
const LANES = 4u;
const ROWS_AT_ONCE = WORKGROUP / LANES;
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

// Deviations of channels, then the means of rows.
var<workgroup> means: array<f32, MOST_ROWS>;
var<workgroup> factors: array<f32, TOKENS>;
// Of a row: what codes count from, and a code's step.
var<workgroup> zeros: array<f32, MOST_ROWS>;
var<workgroup> scales: array<f32, MOST_ROWS>;
// What is stored as bytes at the moment; reciprocals of steps.
var<workgroup> numbers: array<f32, MOST_ROWS>;
// What a thread has of its row.
var<workgroup> lane_sums: array<vec3<f32>, WORKGROUP>;
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

fn runtime_zero() -> u32 {
  return layers[0].zeros[0].x;
}

/// Values of K are divided by their token's factor first, whose reciprocal `factors` has.
fn value(tile: Tile, row: u32, col: u32) -> f32 {
  if (IS_KEY) {
    return product(element(tile, col, row), factors[col]);
  }
  return element(tile, row, col);
}

/// Puts the sums of a row's four threads together. To be called by all threads.
fn sum_lanes(thread: u32, own: vec3<f32>) -> vec3<f32> {
  lane_sums[thread] = own;
  workgroupBarrier();
  let first = thread & ~3u;
  let sums = (lane_sums[first] + lane_sums[first + 1u]) + (lane_sums[first + 2u] + lane_sums[first + 3u]);
  workgroupBarrier();
  return sums;
}

/// Steps 1 and 2: how large tokens are where every channel has been divided by its deviation.
fn find_factors(tile: Tile, thread: u32) {
  for (var c = thread; c < HEAD_DIM; c += WORKGROUP) {
    var sum = 0.0;
    for (var t = 0u; t < TOKENS; t++) {
      sum += element(tile, t, c);
    }
    let mean = quotient(sum, f32(TOKENS));
    var squares = 0.0;
    for (var t = 0u; t < TOKENS; t++) {
      let difference = element(tile, t, c) - mean;
      squares += product(difference, difference);
    }
    means[c] = max(root(quotient(squares, f32(TOKENS))), MIN_DEVIATION);
  }
  workgroupBarrier();
  let token = thread / LANES;
  var sum = 0.0;
  for (var c = thread % LANES; c < HEAD_DIM; c += LANES) {
    sum += quotient(element(tile, token, c), means[c]);
  }
  let mean = quotient(sum_lanes(thread, vec3<f32>(sum, 0.0, 0.0)).x, f32(HEAD_DIM));
  var squares = 0.0;
  for (var c = thread % LANES; c < HEAD_DIM; c += LANES) {
    let difference = quotient(element(tile, token, c), means[c]) - mean;
    squares += product(difference, difference);
  }
  let variance = quotient(sum_lanes(thread, vec3<f32>(squares, 0.0, 0.0)).x, f32(HEAD_DIM));
  if (thread % LANES == 0u) {
    numbers[token] = max(root(variance), MIN_DEVIATION);
  }
  workgroupBarrier();
}

/// Stores `count` numbers as bytes from `word` on, with their least and step at `header`, and puts what the bytes stand for in their place.
fn encode_numbers(count: u32, rounding: u32, header: u32, word: u32, thread: u32) {
  var lo = numbers[0];
  var hi = numbers[0];
  for (var i = 1u; i < count; i++) {
    lo = lesser(lo, numbers[i]);
    hi = greater(hi, numbers[i]);
  }
  let size = quotient(hi - lo, 255.0);
  workgroupBarrier();
  for (var i = thread; i < count / 4u; i += WORKGROUP) {
    var bytes = vec4<u32>(0u);
    for (var j = 0u; j < 4u; j++) {
      let steps = select(0.0, quotient(numbers[4u * i + j] - lo, size), size != 0.0);
      let rounded = select(select(trunc(steps), ceil(steps), rounding == UP), trunc(steps + 0.5), rounding == NEAREST);
      bytes[j] = u32(clamp(rounded, 0.0, 255.0));
      numbers[4u * i + j] = lo + product(size, f32(bytes[j]));
    }
    arena[word + i] = pack4xU8(bytes);
  }
  if (thread == 0u) {
    arena[header] = bitcast<u32>(lo);
    arena[header + 1u] = bitcast<u32>(size);
  }
  workgroupBarrier();
}

/// Least and greatest of a row, drawn towards its mean where codes are spread; the mean comes third. To be called by all threads.
fn range_of(tile: Tile, row: u32, thread: u32) -> vec3<f32> {
  var lo = value(tile, row, thread % LANES);
  var hi = lo;
  var sum = 0.0;
  for (var col = thread % LANES; col < NUM_COLS; col += LANES) {
    let v = value(tile, row, col);
    lo = lesser(lo, v);
    hi = greater(hi, v);
    sum += v;
  }
  lane_sums[thread] = vec3<f32>(lo, hi, sum);
  workgroupBarrier();
  let first = thread & ~3u;
  let a = lane_sums[first];
  let b = lane_sums[first + 1u];
  let c = lane_sums[first + 2u];
  let d = lane_sums[first + 3u];
  workgroupBarrier();
  lo = lesser(lesser(a.x, b.x), lesser(c.x, d.x));
  hi = greater(greater(a.y, b.y), greater(c.y, d.y));
  let mean = quotient((a.z + b.z) + (c.z + d.z), f32(NUM_COLS));
  if (IS_SPREAD && RANGE != 1.0) {
    lo = mean + product(lo - mean, RANGE);
    hi = mean + product(hi - mean, RANGE);
  }
  return vec3<f32>(lo, hi, mean);
}

/// What a code is to be multiplied by, given its row's step.
fn reciprocal(scale: f32) -> f32 {
  return select(0.0, quotient(1.0, scale), scale != 0.0);
}

fn choose_code(target_value: f32, zero: f32, inverse: f32) -> f32 {
  return clamp(trunc(product(target_value - zero, inverse) + 0.5), 0.0, MAX_CODE);
}

fn code_at(row: u32, col: u32) -> u32 {
  let at = row * NUM_COLS + col;
  return (atomicLoad(&codes[at / 4u]) >> (8u * (at & 3u))) & 0xffu;
}

fn choose_codes(tile: Tile, matrix: u32, thread: u32) {
  for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
    numbers[row] = reciprocal(scales[row]);
  }
  workgroupBarrier();
  if (FEEDBACK) {
    // A thread a token: channels from the last on, each moved by what those after it lost.
    var moves = array<f32, HEAD_DIM>();
    for (var i = 0u; i < HEAD_DIM && thread < TOKENS; i++) {
      let row = HEAD_DIM - 1u - i;
      let y = value(tile, row, thread);
      let code = choose_code(y - moves[row], zeros[row], numbers[row]);
      let at = row * NUM_COLS + thread;
      atomicOr(&codes[at / 4u], u32(code) << (8u * (at & 3u)));
      let error = (product(code, scales[row]) + zeros[row]) - y;
      let factors_at = (matrix * HEAD_DIM + row) * HEAD_DIM;
      for (var before = 0u; before < row; before++) {
        moves[before] += product(feedback[factors_at + before], error);
      }
    }
  } else {
    for (var i = thread; i < NUM_ROWS * NUM_COLS / 4u; i += WORKGROUP) {
      let row = i / (NUM_COLS / 4u);
      let col = 4u * (i % (NUM_COLS / 4u));
      var bytes = vec4<u32>(0u);
      for (var j = 0u; j < 4u; j++) {
        bytes[j] = u32(choose_code(value(tile, row, col + j), zeros[row], numbers[row]));
      }
      atomicStore(&codes[i], pack4xU8(bytes));
    }
  }
  workgroupBarrier();
}

/// Scale and mean code of a row whose codes have been chosen. To be called by all threads.
fn fit_row(tile: Tile, row: u32, thread: u32) -> vec2<f32> {
  let mean = means[row];
  var code_sum = 0.0;
  for (var col = thread % LANES; col < NUM_COLS; col += LANES) {
    code_sum += f32(code_at(row, col));
  }
  let mean_code = quotient(sum_lanes(thread, vec3<f32>(code_sum, 0.0, 0.0)).x, f32(NUM_COLS));
  // Of squares of values, of products of values and codes, of squares of codes.
  var sums = vec3<f32>(0.0);
  for (var col = thread % LANES; col < NUM_COLS; col += LANES) {
    let dy = value(tile, row, col) - mean;
    let dk = f32(code_at(row, col)) - mean_code;
    sums += vec3<f32>(product(dy, dy), product(dy, dk), product(dk, dk));
  }
  sums = sum_lanes(thread, sums);
  let chosen = scales[row];
  if (!(sums.y > 0.0 && sums.z > 0.0)) {
    return vec2<f32>(chosen, mean_code);
  }
  var fitted = f32();
  if (UNBIASED) {
    fitted = quotient(sums.x, sums.y);
  } else {
    fitted = root(quotient(sums.x, sums.z));
  }
  return vec2<f32>(min(max(fitted, chosen * LEAST_FIT), chosen * MOST_FIT), mean_code);
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
    if (thread < TOKENS) {
      factors[thread] = quotient(1.0, numbers[thread]);
    }
    workgroupBarrier();
    s_header = tile.header + 2u;
    s_bytes = tile.header + 8u + TOKENS / 4u;
  }
  let z_bytes = s_bytes + NUM_ROWS / 4u;
  let is_first = thread % LANES == 0u;
  for (var first = 0u; first < NUM_ROWS; first += ROWS_AT_ONCE) {
    let row = first + thread / LANES;
    let range = range_of(tile, min(row, NUM_ROWS - 1u), thread);
    if (is_first && row < NUM_ROWS) {
      zeros[row] = range.x;
      numbers[row] = range.x;
      scales[row] = range.y;
      means[row] = range.z;
    }
  }
  workgroupBarrier();
  if (IS_SPREAD) {
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      scales[row] = quotient(scales[row] - zeros[row], MAX_CODE);
    }
    workgroupBarrier();
    choose_codes(tile, workgroup.y, thread);
    for (var first = 0u; first < NUM_ROWS; first += ROWS_AT_ONCE) {
      let row = first + thread / LANES;
      let fitted = fit_row(tile, min(row, NUM_ROWS - 1u), thread);
      if (is_first && row < NUM_ROWS) {
        numbers[row] = fitted.x;
        zeros[row] = fitted.y;
      }
    }
    workgroupBarrier();
    encode_numbers(NUM_ROWS, NEAREST, s_header, s_bytes, thread);
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      numbers[row] = means[row] - product(numbers[row], zeros[row]);
    }
    workgroupBarrier();
    encode_numbers(NUM_ROWS, NEAREST, s_header + 2u, z_bytes, thread);
  } else {
    encode_numbers(NUM_ROWS, DOWN, s_header + 2u, z_bytes, thread);
    for (var row = thread; row < NUM_ROWS; row += WORKGROUP) {
      zeros[row] = numbers[row];
      numbers[row] = quotient(scales[row] - zeros[row], MAX_CODE);
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
