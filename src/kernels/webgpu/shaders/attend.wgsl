// Attention of up to 4 query heads of a row, which share a KV head, to up to SPLIT blocks of 64 tokens. A workgroup leaves a softmax state.
// Integer dot products only where tiles are sealed:
//
//   K[t][c] = a[t] (s[c] k[t][c] + z[c]):  score[t] = a[t] (sum_c (q[c] s[c]) k[t][c] + sum_c q[c] z[c])
//   V[t][c] = s[t] v[t][c] + z[t]:         out[c]   = sum_t (p[t] s[t]) v[t][c] + sum_t p[t] z[t]
//
// q s and p s become integers with a scale for each block: of 8 bits, or of 14 in two bytes where codes have 8 bits. With 16 bits a side is
// f16 and multiplied in float32. Sums over threads are of integers or in a fixed order.
//
// Phases, with barriers in between:
//   1 queries times scales, quantized for each block        a thread 16 channels of a block and head
//   2 products of queries and keys                          LANES threads a token, each some groups of 32 channels
//   3 softmax of each block, weights quantized              a thread 16 tokens of a block and head
//   4 values                                                a thread a channel, or channels
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, HEAD_TILES, K_BITS, V_BITS, LANES: u32; const WORKGROUP, SPLIT: u32, of which one is 16 times the other
// const OWN_PAGE: bool: f16 pages, laid out by their number of tokens; with step.wgsl, planes.wgsl, lanes-*.wgsl

struct Layer {
  // First head's metadata, planes: word offset in a page, words to the next head, words from K to V. The last word: the layer.
  header: vec4<u32>,
  high: vec4<u32>,
  low: vec4<u32>,
}

@group(0) @binding(1) var<storage, read> arena: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> layer: Layer;
// Of a part and head: HEAD_DIM values, not divided by the sum; then the maximum, the sum.
@group(0) @binding(4) var<storage, read_write> parts: array<f32>;

const BLOCK = 64u;
const HEADS_PER_KV = NUM_HEADS / NUM_KV_HEADS;
const DIM_GROUPS = (HEAD_DIM + 31u) / 32u;
const GROUPS_PER_LANE = DIM_GROUPS / LANES;
const SLOTS = WORKGROUP / LANES;
/// Tokens of a block that a thread takes, where it has only one group of channels.
const TOKENS_EACH = max(1u, BLOCK / SLOTS);
const K_FINE = K_BITS == 8u;
const V_FINE = V_BITS == 8u;
const K_PARTS = select(1u, 2u, K_FINE);
const V_PARTS = select(1u, 2u, V_FINE);
const K_RANGE = select(127.0, 8191.0, K_FINE);
const V_RANGE = select(255.0, 16383.0, V_FINE);
/// Of codes as they are multiplied: those of 8 bits less 128.
const MIDDLE_K = select(f32((1u << min(K_BITS, 8u)) - 1u) / 2.0, -0.5, K_FINE);
const MIDDLE_V = select(f32((1u << min(V_BITS, 8u)) - 1u) / 2.0, -0.5, V_FINE);
const HALF_WORDS = HEAD_DIM / 2u;
const PAIRS = SPLIT * 4u;
/// Phase 1: threads of a block and head, how many of these fit a turn of all threads, turns.
const PAIR_THREADS = HEAD_DIM / 16u;
const TURN_PAIRS = WORKGROUP / PAIR_THREADS;
const TURNS = (PAIRS + TURN_PAIRS - 1u) / TURN_PAIRS;
/// Words of a block's queries: rows of whole groups of 32, then zeros.
const QUERY_VECTORS = DIM_GROUPS * 2u;
/// Scores of a block and head lie this far apart, so that heads are in different banks.
const SCORE_STRIDE = BLOCK + 8u;
/// Phase 4: channels of a thread; or threads that share a channel, each with its own blocks.
const CHANNELS = (HEAD_DIM + WORKGROUP - 1u) / WORKGROUP;
const SHARES = select(1u, WORKGROUP / HEAD_DIM, HEAD_DIM < WORKGROUP);
const PART_WORDS = HEAD_DIM + 2u;
/// Below every score; infinity would make differences of it.
const LEAST = -1e30;

// Queries times scales of a block and head, as bytes.
var<workgroup> queries: array<vec4<u32>, PAIRS * QUERY_VECTORS * K_PARTS>;
// Of a block and head: the scale of these, and the sum of queries times zero points.
var<workgroup> query_scales: array<vec2<f32>, PAIRS>;
var<workgroup> partial_most: array<f32, WORKGROUP * TURNS>;
var<workgroup> partial_zero: array<f32, WORKGROUP * TURNS>;
// Of a block and head: products of queries and keys, then (f16) the tokens' weights.
var<workgroup> scores: array<f32, PAIRS * SCORE_STRIDE>;
// Of a block and head: softmax weights times scales, as bytes.
var<workgroup> weights: array<vec4<u32>, PAIRS * 4u * V_PARTS>;
// Of a block and head: maximum, sum of weights, sum of weights times zero points, scale of quantized weights.
var<workgroup> block_states: array<vec4<f32>, PAIRS>;
// Of a block, for 4 heads: what products with quantized weights are multiplied by.
var<workgroup> block_factors: array<vec4<f32>, SPLIT>;
var<workgroup> block_page: array<u32, SPLIT>;
var<workgroup> block_tokens: array<u32, SPLIT>;
var<workgroup> page_tokens: array<u32, SPLIT>;
var<workgroup> shared_values: array<vec4<f32>, WORKGROUP>;

fn f32_at(word: u32) -> f32 {
  return bitcast<f32>(arena_word(word));
}

fn header_word(page: u32, head: u32, side: u32) -> u32 {
  return page + layer.header.x + head * layer.header.y + side * layer.header.z;
}

fn high_word(page: u32, head: u32, side: u32) -> u32 {
  return page + layer.high.x + head * layer.high.y + side * layer.high.z;
}

fn low_word(page: u32, head: u32, side: u32) -> u32 {
  return page + layer.low.x + head * layer.low.y + side * layer.low.z;
}

/// Where an f16 tile starts.
fn half_tile(block: u32, head: u32, side: u32) -> u32 {
  if (OWN_PAGE) {
    return block_page[block] + ((layer.header.w * NUM_KV_HEADS + head) * 2u + side) * page_tokens[block] * HALF_WORDS;
  }
  return high_word(block_page[block], head, side);
}

fn query_quad(row: u32, head: u32, quad: u32) -> vec4<f32> {
  return q[(row * NUM_HEADS + head) * (HEAD_DIM / 4u) + quad];
}

/// What the bytes of a vector of metadata stand for.
fn decoded(bytes: u32, lo: f32, size: f32) -> vec4<f32> {
  return vec4<f32>(lo) + size * vec4<f32>(unpack4xU8(bytes));
}

fn largest(v: vec4<f32>) -> f32 {
  let m = abs(v);
  return max(max(m.x, m.y), max(m.z, m.w));
}

fn total(v: vec4<f32>) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

/// Phase 1. Long, since what a thread keeps from one step to the next stays in registers.
fn quantize_queries(thread: u32, row: u32, kv_head: u32, heads: vec4<u32>) {
  var values: array<array<vec4<f32>, 4>, TURNS>;
  let chunk = thread % PAIR_THREADS;
  let in_turn = thread / PAIR_THREADS;
  for (var turn = 0u; turn < TURNS; turn++) {
    let pair = min(turn * TURN_PAIRS + in_turn, PAIRS - 1u);
    let tile = header_word(block_page[pair / 4u], kv_head, 0u);
    let fields = arena[tile >> 2u];
    let last_fields = arena[(tile >> 2u) + 1u];
    let s_bytes = arena[(tile >> 2u) + 2u + BLOCK / 16u + chunk];
    let z_bytes = arena[(tile >> 2u) + 2u + BLOCK / 16u + HEAD_DIM / 16u + chunk];
    var most = 0.0;
    var zero = 0.0;
    for (var i = 0u; i < 4u; i++) {
      let x = query_quad(row, heads[pair & 3u], 4u * chunk + i);
      let s = decoded(s_bytes[i], bitcast<f32>(fields.z), bitcast<f32>(fields.w));
      var z = decoded(z_bytes[i], bitcast<f32>(last_fields.x), bitcast<f32>(last_fields.y));
      if (K_FINE) {
        z += 128.0 * s;
      }
      values[turn][i] = x * s;
      most = max(most, largest(values[turn][i]));
      zero += total(x * z);
    }
    partial_most[turn * WORKGROUP + thread] = most;
    partial_zero[turn * WORKGROUP + thread] = zero;
  }
  workgroupBarrier();
  for (var turn = 0u; turn < TURNS; turn++) {
    let pair = turn * TURN_PAIRS + in_turn;
    if (in_turn >= TURN_PAIRS || pair >= PAIRS) {
      continue;
    }
    let greatest = greatest_of(turn * WORKGROUP + in_turn * PAIR_THREADS);
    let inverse = select(0.0, K_RANGE / greatest, greatest > 0.0);
    let a = vec4<i32>(round(values[turn][0] * inverse));
    let b = vec4<i32>(round(values[turn][1] * inverse));
    let c = vec4<i32>(round(values[turn][2] * inverse));
    let d = vec4<i32>(round(values[turn][3] * inverse));
    let unit = greatest / K_RANGE;
    let lost = (values[turn][0] - vec4<f32>(a) * unit) + (values[turn][1] - vec4<f32>(b) * unit)
      + (values[turn][2] - vec4<f32>(c) * unit) + (values[turn][3] - vec4<f32>(d) * unit);
    let shift = vec4<u32>(select(0u, 7u, K_FINE));
    let words = vec4<u32>(pack4xI8(a >> shift), pack4xI8(b >> shift), pack4xI8(c >> shift), pack4xI8(d >> shift));
    queries[pair * K_PARTS * QUERY_VECTORS + chunk] = words;
    if (K_FINE) {
      let mask = vec4<i32>(127);
      queries[(pair * K_PARTS + 1u) * QUERY_VECTORS + chunk] =
        vec4<u32>(pack4xI8(a & mask), pack4xI8(b & mask), pack4xI8(c & mask), pack4xI8(d & mask));
    }
    if (HEAD_DIM % 32u != 0u && chunk == 0u) {
      // Rows of codes end with zeros, which must not meet anything but numbers.
      queries[(pair * K_PARTS + 1u) * QUERY_VECTORS - 1u] = vec4<u32>(0u);
      queries[(pair * K_PARTS + K_PARTS) * QUERY_VECTORS - 1u] = vec4<u32>(0u);
    }
    // What rounding loses in all is taken to meet the middle code.
    partial_zero[turn * WORKGROUP + thread] += total(lost) * MIDDLE_K;
  }
  workgroupBarrier();
  for (var turn = 0u; turn < TURNS; turn++) {
    let pair = turn * TURN_PAIRS + in_turn;
    if (chunk == 0u && in_turn < TURN_PAIRS && pair < PAIRS) {
      let first = turn * WORKGROUP + in_turn * PAIR_THREADS;
      var zero = 0.0;
      for (var i = 0u; i < PAIR_THREADS; i++) {
        zero += partial_zero[first + i];
      }
      query_scales[pair] = vec2<f32>(greatest_of(first) / K_RANGE, zero);
    }
  }
}

fn greatest_of(first: u32) -> f32 {
  var greatest = 0.0;
  for (var i = 0u; i < PAIR_THREADS; i++) {
    greatest = max(greatest, partial_most[first + i]);
  }
  return greatest;
}

fn dot32(codes: Words8, a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(codes.a.x, a.x) + dot4I8Packed(codes.a.y, a.y) + dot4I8Packed(codes.a.z, a.z) + dot4I8Packed(codes.a.w, a.w)
    + dot4I8Packed(codes.b.x, b.x) + dot4I8Packed(codes.b.y, b.y) + dot4I8Packed(codes.b.z, b.z) + dot4I8Packed(codes.b.w, b.w);
}

/// A group of 32 channels of 4 heads' queries. Named one by one: arrays that go through functions end in memory.
struct QueryGroup {
  a0: vec4<u32>,
  b0: vec4<u32>,
  a1: vec4<u32>,
  b1: vec4<u32>,
  a2: vec4<u32>,
  b2: vec4<u32>,
  a3: vec4<u32>,
  b3: vec4<u32>,
}

fn queries_of(block: u32, group: u32, part: u32) -> QueryGroup {
  const STRIDE = QUERY_VECTORS * K_PARTS;
  let first = block * 4u * STRIDE + part * QUERY_VECTORS + 2u * group;
  return QueryGroup(
    queries[first], queries[first + 1u],
    queries[first + STRIDE], queries[first + STRIDE + 1u],
    queries[first + 2u * STRIDE], queries[first + 2u * STRIDE + 1u],
    queries[first + 3u * STRIDE], queries[first + 3u * STRIDE + 1u],
  );
}

fn codes_of_key(block: u32, index: u32, group: u32, kv_head: u32) -> Words8 {
  let page = block_page[block];
  let high = high_word(page, kv_head, 0u) + index * plane_row_words(high_width(K_BITS), HEAD_DIM);
  let low = low_word(page, kv_head, 0u) + index * plane_row_words(low_width(K_BITS), HEAD_DIM);
  return row_codes(K_BITS, high, low, group, HEAD_DIM);
}

/// Phase 2 for sealed blocks. Those that are not there are gone over all the same, so that loops can be unrolled: their tokens are seen by nobody.
/// The next codes are on their way while these are multiplied. Without registers for all groups of a token, a token at a time.
fn sealed_scores(thread: u32, kv_head: u32) {
  let lane = thread % LANES;
  let slot = thread / LANES;
  if (GROUPS_PER_LANE > 1u || SLOTS > BLOCK) {
    for (var i = 0u; i < SPLIT * BLOCK / SLOTS; i++) {
      let token = i * SLOTS + slot;
      var dots = vec4<i32>(0);
      for (var j = 0u; j < GROUPS_PER_LANE; j++) {
        let group = lane + j * LANES;
        dots += dots_of(codes_of_key(token / BLOCK, token % BLOCK, group, kv_head), queries_of(token / BLOCK, group, 0u), queries_of(token / BLOCK, group, K_PARTS - 1u));
      }
      store_scores(token / BLOCK, token % BLOCK, lane, vec4<f32>(share_ints(lane, dots)));
    }
    return;
  }
  var next: array<Words8, TOKENS_EACH>;
  for (var i = 0u; i < TOKENS_EACH; i++) {
    next[i] = codes_of_key(0u, i * SLOTS + slot, lane, kv_head);
  }
  for (var block = 0u; block < SPLIT; block++) {
    let codes = next;
    for (var i = 0u; i < TOKENS_EACH; i++) {
      next[i] = codes_of_key(min(block + 1u, SPLIT - 1u), i * SLOTS + slot, lane, kv_head);
    }
    let high = queries_of(block, lane, 0u);
    let low = queries_of(block, lane, K_PARTS - 1u);
    for (var i = 0u; i < TOKENS_EACH; i++) {
      store_scores(block, i * SLOTS + slot, lane, vec4<f32>(share_ints(lane, dots_of(codes[i], high, low))));
    }
  }
}

/// Products of a token's group of 32 channels with 4 heads' queries.
fn dots_of(codes: Words8, high: QueryGroup, low: QueryGroup) -> vec4<i32> {
  let dots = vec4<i32>(dot32(codes, high.a0, high.b0), dot32(codes, high.a1, high.b1), dot32(codes, high.a2, high.b2), dot32(codes, high.a3, high.b3));
  if (!K_FINE) {
    return dots;
  }
  return dots * 128 + vec4<i32>(dot32(codes, low.a0, low.b0), dot32(codes, low.a1, low.b1), dot32(codes, low.a2, low.b2), dot32(codes, low.a3, low.b3));
}

/// Phase 2 for a token in f16.
fn half_products(block: u32, index: u32, lane: u32, row: u32, kv_head: u32, heads: vec4<u32>) -> vec4<f32> {
  let first = half_tile(block, kv_head, 0u) + index * HALF_WORDS;
  var sums = vec4<f32>(0.0);
  for (var i = 0u; i < GROUPS_PER_LANE; i++) {
    let group = lane + i * LANES;
    let end = min(HEAD_DIM / 8u, 4u * (group + 1u));
    for (var octet = 4u * group; octet < end; octet++) {
      let halves = arena[(first >> 2u) + octet];
      let k = vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
      let l = vec4<f32>(unpack2x16float(halves.z), unpack2x16float(halves.w));
      let quad = 2u * octet;
      sums += vec4<f32>(
        dot(query_quad(row, heads.x, quad), k) + dot(query_quad(row, heads.x, quad + 1u), l),
        dot(query_quad(row, heads.y, quad), k) + dot(query_quad(row, heads.y, quad + 1u), l),
        dot(query_quad(row, heads.z, quad), k) + dot(query_quad(row, heads.z, quad + 1u), l),
        dot(query_quad(row, heads.w, quad), k) + dot(query_quad(row, heads.w, quad + 1u), l),
      );
    }
  }
  return sums;
}

/// A lane's share of a token's 4 scores.
fn store_scores(block: u32, index: u32, lane: u32, sums: vec4<f32>) {
  let first = block * 4u * SCORE_STRIDE + index;
  if (LANES >= 4u) {
    const SAME = max(1u, LANES / 4u);
    if (lane % SAME == 0u) {
      scores[first + (lane / SAME) * SCORE_STRIDE] = sums.x;
    }
  } else if (LANES == 2u) {
    scores[first + 2u * lane * SCORE_STRIDE] = sums.x;
    scores[first + (2u * lane + 1u) * SCORE_STRIDE] = sums.y;
  } else {
    for (var head = 0u; head < 4u; head++) {
      scores[first + head * SCORE_STRIDE] = sums[head];
    }
  }
}

/// Phase 3: softmax of each block by itself, without the tokens that may not be seen.
fn weigh(thread: u32, kv_head: u32) {
  let pair = thread / 4u;
  let chunk = thread & 3u;
  let block = pair / 4u;
  let visible = block_tokens[block];
  let first = pair * SCORE_STRIDE + 16u * chunk;
  var x: array<vec4<f32>, 4>;
  var most = LEAST;
  var factor = vec4<u32>(0u);
  var a_lo = 0.0;
  var a_size = 0.0;
  if (K_BITS != 16u) {
    let tile = header_word(block_page[block], kv_head, 0u);
    a_lo = f32_at(tile);
    a_size = f32_at(tile + 1u);
    factor = arena[(tile >> 2u) + 2u + chunk];
  }
  let query = query_scales[pair];
  for (var i = 0u; i < 4u; i++) {
    let index = 16u * chunk + 4u * i;
    let at = first + 4u * i;
    var score = vec4<f32>(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
    if (K_BITS != 16u) {
      score = decoded(factor[i], a_lo, a_size) * fma(score, vec4<f32>(query.x), vec4<f32>(query.y));
    }
    let is_visible = vec4<u32>(index, index + 1u, index + 2u, index + 3u) < vec4<u32>(visible);
    x[i] = select(vec4<f32>(LEAST), score, is_visible);
    most = max(most, max(max(x[i].x, x[i].y), max(x[i].z, x[i].w)));
  }
  partial_most[thread] = most;
  workgroupBarrier();
  let start = thread & ~3u;
  most = max(max(partial_most[start], partial_most[start + 1u]), max(partial_most[start + 2u], partial_most[start + 3u]));
  var s_bytes = vec4<u32>(0u);
  var z_bytes = vec4<u32>(0u);
  var v_fields = vec4<f32>(1.0, 0.0, 0.0, 0.0);
  if (V_BITS != 16u) {
    let tile = header_word(block_page[block], kv_head, 1u) >> 2u;
    v_fields = bitcast<vec4<f32>>(arena[tile]);
    s_bytes = arena[tile + 1u + chunk];
    z_bytes = arena[tile + 1u + BLOCK / 16u + chunk];
  }
  var sum = 0.0;
  var zero = 0.0;
  var exact = 0.0;
  var greatest = 0.0;
  for (var i = 0u; i < 4u; i++) {
    let e = select(vec4<f32>(0.0), exp(x[i] - most), x[i] > vec4<f32>(LEAST));
    let s = decoded(s_bytes[i], v_fields.x, v_fields.y);
    var z = decoded(z_bytes[i], v_fields.z, v_fields.w);
    if (V_FINE) {
      z += 128.0 * s;
    }
    sum += total(e);
    zero += total(e * z);
    x[i] = e * s;
    exact += total(x[i]);
    greatest = max(greatest, largest(x[i]));
  }
  if (V_BITS == 16u) {
    for (var i = 0u; i < 16u; i++) {
      scores[first + i] = x[i / 4u][i & 3u];
    }
  }
  shared_values[thread] = vec4<f32>(sum, zero, exact, greatest);
  workgroupBarrier();
  let a = shared_values[start];
  let b = shared_values[start + 1u];
  let c = shared_values[start + 2u];
  let d = shared_values[start + 3u];
  greatest = max(max(a.w, b.w), max(c.w, d.w));
  var num_codes = 0u;
  if (V_BITS != 16u) {
    num_codes = store_weights(pair, chunk, x[0], x[1], x[2], x[3], select(0.0, V_RANGE / greatest, greatest > 0.0));
  }
  // In integers, whose order does not matter.
  partial_most[thread] = f32(num_codes);
  workgroupBarrier();
  if (chunk == 0u) {
    let rounded = ((partial_most[start] + partial_most[start + 1u]) + (partial_most[start + 2u] + partial_most[start + 3u])) * (greatest / V_RANGE);
    let sums = (a + b) + (c + d);
    // What rounding loses in all is taken to weigh the middle code.
    let rest = select(0.0, (sums.z - rounded) * MIDDLE_V, V_BITS != 16u);
    block_states[pair] = vec4<f32>(most, sums.x, sums.y + rest, greatest / V_RANGE);
  }
}

/// Quantizes 16 weights. @returns their sum
fn store_weights(pair: u32, chunk: u32, x: vec4<f32>, y: vec4<f32>, z: vec4<f32>, w: vec4<f32>, inverse: f32) -> u32 {
  let a = vec4<u32>(round(x * inverse));
  let b = vec4<u32>(round(y * inverse));
  let c = vec4<u32>(round(z * inverse));
  let d = vec4<u32>(round(w * inverse));
  let shift = vec4<u32>(select(0u, 7u, V_FINE));
  weights[pair * V_PARTS * 4u + chunk] = vec4<u32>(pack4xU8(a >> shift), pack4xU8(b >> shift), pack4xU8(c >> shift), pack4xU8(d >> shift));
  if (V_FINE) {
    let mask = vec4<u32>(127u);
    weights[(pair * V_PARTS + 1u) * 4u + chunk] = vec4<u32>(pack4xU8(a & mask), pack4xU8(b & mask), pack4xU8(c & mask), pack4xU8(d & mask));
  }
  let sum = (a + b) + (c + d);
  return (sum.x + sum.y) + (sum.z + sum.w);
}

fn dot16_of(codes: vec4<u32>, first: u32) -> i32 {
  let w = weights[first];
  if (V_FINE) {
    return dot4I8Packed(codes.x, w.x) + dot4I8Packed(codes.y, w.y) + dot4I8Packed(codes.z, w.z) + dot4I8Packed(codes.w, w.w);
  }
  return i32(dot4U8Packed(codes.x, w.x) + dot4U8Packed(codes.y, w.y) + dot4U8Packed(codes.z, w.z) + dot4U8Packed(codes.w, w.w));
}

fn dot64(lo: Words8, hi: Words8, first: u32) -> i32 {
  return (dot16_of(lo.a, first) + dot16_of(lo.b, first + 1u)) + (dot16_of(hi.a, first + 2u) + dot16_of(hi.b, first + 3u));
}

struct ChannelCodes {
  lo: Words8,
  hi: Words8,
}

fn codes_of_channel(block: u32, channel: u32, kv_head: u32) -> ChannelCodes {
  let page = block_page[block];
  let high = high_word(page, kv_head, 1u) + channel * plane_row_words(high_width(V_BITS), BLOCK);
  let low = low_word(page, kv_head, 1u) + channel * plane_row_words(low_width(V_BITS), BLOCK);
  return ChannelCodes(row_codes(V_BITS, high, low, 0u, BLOCK), row_codes(V_BITS, high, low, 1u, BLOCK));
}

/// Phase 4 for a channel of a sealed block: sums of weights times codes.
fn sealed_values(block: u32, codes: ChannelCodes) -> vec4<f32> {
  const STRIDE = 4u * V_PARTS;
  let a = codes.lo;
  let b = codes.hi;
  let first = block * 4u * STRIDE;
  var dots = vec4<i32>(dot64(a, b, first), dot64(a, b, first + STRIDE), dot64(a, b, first + 2u * STRIDE), dot64(a, b, first + 3u * STRIDE));
  if (V_FINE) {
    let fine = first + 4u;
    dots = dots * 128 + vec4<i32>(dot64(a, b, fine), dot64(a, b, fine + STRIDE), dot64(a, b, fine + 2u * STRIDE), dot64(a, b, fine + 3u * STRIDE));
  }
  return vec4<f32>(dots);
}

fn half_values(block: u32, channel: u32, kv_head: u32) -> vec4<f32> {
  let first = half_tile(block, kv_head, 1u) + channel / 2u;
  let row = block * 4u * SCORE_STRIDE;
  var sum = vec4<f32>(0.0);
  for (var token = 0u; token < block_tokens[block]; token++) {
    let pair = unpack2x16float(arena_word(first + token * HALF_WORDS));
    let at = row + token;
    let e = vec4<f32>(scores[at], scores[at + SCORE_STRIDE], scores[at + 2u * SCORE_STRIDE], scores[at + 3u * SCORE_STRIDE]);
    sum = fma(e, vec4<f32>(select(pair.x, pair.y, (channel & 1u) == 1u)), sum);
  }
  return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let unit = UNITS + (first_of(select(FORMAT_UNITS, FORMAT_OWN_UNITS, OWN_PAGE)) + workgroup.x) * UNIT_WORDS;
  let row = step[unit + UNIT_ROW];
  let first_block = step[unit + UNIT_FIRST_BLOCK];
  let num_blocks = step[unit + UNIT_NUM_BLOCKS];
  let part = step[unit + UNIT_PART];
  let kv_head = workgroup.y / HEAD_TILES;
  let first_head = (workgroup.y % HEAD_TILES) * 4u;
  let base_head = kv_head * HEADS_PER_KV;
  let heads = vec4<u32>(base_head) + min(vec4<u32>(first_head) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(HEADS_PER_KV - 1u));
  if (thread < SPLIT) {
    let block = BLOCKS + (first_block + min(thread, num_blocks - 1u)) * BLOCK_WORDS;
    let tokens = step[block + BLOCK_TOKENS];
    block_page[thread] = step[block + BLOCK_PAGE];
    page_tokens[thread] = tokens >> 16u;
    block_tokens[thread] = select(0u, tokens & 0xffffu, thread < num_blocks);
  }
  workgroupBarrier();
  if (K_BITS != 16u) {
    quantize_queries(thread, row, kv_head, heads);
    workgroupBarrier();
  }
  let lane = thread % LANES;
  if (K_BITS == 16u) {
    for (var i = 0u; i < (num_blocks * BLOCK + SLOTS - 1u) / SLOTS; i++) {
      let token = i * SLOTS + thread / LANES;
      let index = token % BLOCK;
      let block = token / BLOCK;
      // Beyond a short page lies what is no number of this tile.
      let products = half_products(block, min(index, page_tokens[block] - 1u), lane, row, kv_head, heads);
      store_scores(block, index, lane, share_floats(lane, products));
    }
  } else {
    sealed_scores(thread, kv_head);
  }
  workgroupBarrier();
  weigh(thread, kv_head);
  workgroupBarrier();
  var most = vec4<f32>(LEAST);
  for (var block = 0u; block < SPLIT; block++) {
    most = max(most, vec4<f32>(block_states[4u * block].x, block_states[4u * block + 1u].x, block_states[4u * block + 2u].x, block_states[4u * block + 3u].x));
  }
  if (thread < SPLIT) {
    let a = block_states[4u * thread];
    let b = block_states[4u * thread + 1u];
    let c = block_states[4u * thread + 2u];
    let d = block_states[4u * thread + 3u];
    let factor = exp(vec4<f32>(a.x, b.x, c.x, d.x) - most);
    block_factors[thread] = factor * select(vec4<f32>(1.0), vec4<f32>(a.w, b.w, c.w, d.w), V_BITS != 16u);
    // What is added to every channel, and the sums of weights.
    partial_most[4u * thread] = a.z * factor.x;
    partial_most[4u * thread + 1u] = b.z * factor.y;
    partial_most[4u * thread + 2u] = c.z * factor.z;
    partial_most[4u * thread + 3u] = d.z * factor.w;
    partial_zero[4u * thread] = a.y * factor.x;
    partial_zero[4u * thread + 1u] = b.y * factor.y;
    partial_zero[4u * thread + 2u] = c.y * factor.z;
    partial_zero[4u * thread + 3u] = d.y * factor.w;
  }
  workgroupBarrier();
  write_part(thread, part, base_head, first_head, num_blocks, kv_head, most);
}

/// Phase 4, and what the unit leaves.
fn write_part(thread: u32, part: u32, base_head: u32, first_head: u32, num_blocks: u32, kv_head: u32, most: vec4<f32>) {
  var zero = vec4<f32>(0.0);
  var sum = vec4<f32>(0.0);
  for (var block = 0u; block < SPLIT; block++) {
    let at = 4u * block;
    zero += vec4<f32>(partial_most[at], partial_most[at + 1u], partial_most[at + 2u], partial_most[at + 3u]);
    sum += vec4<f32>(partial_zero[at], partial_zero[at + 1u], partial_zero[at + 2u], partial_zero[at + 3u]);
  }
  for (var i = 0u; i < CHANNELS; i++) {
    let channel = select(thread % HEAD_DIM, i * WORKGROUP + thread, SHARES == 1u);
    let share = select(thread / HEAD_DIM, 0u, SHARES == 1u);
    var value = vec4<f32>(0.0);
    if (V_BITS == 16u) {
      for (var block = share; block < num_blocks && channel < HEAD_DIM && share < SHARES; block += SHARES) {
        value = fma(half_values(block, channel, kv_head), block_factors[block], value);
      }
    } else if (channel < HEAD_DIM && share < SHARES) {
      var next = codes_of_channel(share, channel, kv_head);
      for (var j = 0u; j < SPLIT / SHARES; j++) {
        let codes = next;
        let block = share + j * SHARES;
        next = codes_of_channel(min(block + SHARES, SPLIT - 1u), channel, kv_head);
        value = fma(sealed_values(block, codes), block_factors[block], value);
      }
    }
    if (SHARES > 1u) {
      shared_values[thread] = value;
      workgroupBarrier();
      value = vec4<f32>(0.0);
      for (var other = 0u; other < SHARES; other++) {
        value += shared_values[min(other * HEAD_DIM + channel, WORKGROUP - 1u)];
      }
    }
    value += zero;
    for (var head = 0u; head < 4u; head++) {
      let at = (part * NUM_HEADS + base_head + first_head + head) * PART_WORDS;
      if (first_head + head < HEADS_PER_KV && i * WORKGROUP + thread < HEAD_DIM) {
        parts[at + i * WORKGROUP + thread] = value[head];
      }
    }
  }
  if (thread < 4u && first_head + thread < HEADS_PER_KV) {
    let at = (part * NUM_HEADS + base_head + first_head + thread) * PART_WORDS + HEAD_DIM;
    parts[at] = most[thread];
    parts[at + 1u] = sum[thread];
  }
}
