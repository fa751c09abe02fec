// Attention of up to 4 query heads of a row, which share a KV head, to some pages, one after another. A workgroup leaves a softmax state. Integer dot
// products only where tiles are sealed:
//
//   K[t][c] = a[t] (s[c] k[t][c] + z[c]):  score[t] = a[t] (sum_c (q[c] s[c]) k[t][c] + sum_c q[c] z[c])
//   V[t][c] = s[t] v[t][c] + z[t]:         out[c]   = sum_t (p[t] s[t]) v[t][c] + sum_t p[t] z[t]
//
// q s and p s become integers with a scale for each page: of 8 bits, or of 14 in two bytes where codes have 8 bits. With 16 bits a side is
// f16 and multiplied in float32. Sums over threads are of integers or in a fixed order.
//
// A workgroup has 32 threads, so that where these are a subgroup they wait for nobody; what a thread has in its turns:
//   1 queries times scales, quantized      8 threads a head, each every 8th quad of channels
//   2 products of queries and keys         LANES threads a token, each 32 channels
//   3 softmax of the page                  the tokens and heads whose products it has
//   4 values                               a channel of each 32, or two of each 64
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, HEAD_TILES, K_BITS, V_BITS: u32; const LANES: u32, 2, 4 or 8; const OWN_PAGE: bool: open pages and sink pages
// with step.wgsl, planes.wgsl, lanes-*.wgsl

struct Layer {
  // First head's metadata, planes: word offset in a page, words to the next head, words from K to V. The last word: the layer.
  header: vec4<u32>,
  high: vec4<u32>,
  low: vec4<u32>,
}

@group(0) @binding(1) var<storage, read> arena: array<vec4<u32>>;
// The same bytes.
@group(0) @binding(2) var<storage, read> arena_words: array<u32>;
@group(0) @binding(3) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(4) var<uniform> layer: Layer;
// Of a part and head: HEAD_DIM values, not divided by the sum; then the maximum, the sum, and two words to make whole vectors.
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

const THREADS = 32u;
const BLOCK = 64u;
const HEADS_PER_KV = NUM_HEADS / NUM_KV_HEADS;
const DIM_GROUPS = (HEAD_DIM + 31u) / 32u;
const SLOTS = THREADS / LANES;
/// Tokens of a page that a thread has products of; these in fours; heads of each.
const TOKENS_EACH = BLOCK / SLOTS;
const QUADS = TOKENS_EACH / 4u;
const HEADS_EACH = select(1u, 2u, LANES == 2u);
const K_FINE = K_BITS == 8u;
const V_FINE = V_BITS == 8u;
const K_PARTS = select(1u, 2u, K_FINE);
const V_PARTS = select(1u, 2u, V_FINE);
const K_RANGE = select(127.0, 8191.0, K_FINE);
const V_RANGE = select(255.0, 16383.0, V_FINE);
/// Of codes as they are multiplied: those of 8 bits less 128.
const MIDDLE_K = select(f32((1u << min(K_BITS, 8u)) - 1u) / 2.0, -0.5, K_FINE);
const MIDDLE_V = select(f32((1u << min(V_BITS, 8u)) - 1u) / 2.0, -0.5, V_FINE);
const HALF_KEYS = OWN_PAGE || K_BITS == 16u;
const HALF_VALUES = OWN_PAGE || V_BITS == 16u;
/// Values in f16 want no neighbours in a word: tokens are spread over the threads, so that a short page keeps all of them busy.
const IS_SPREAD = HALF_KEYS && HALF_VALUES;
const HALF_WORDS = HEAD_DIM / 2u;
/// Phase 4: channels of a thread; in f16, pairs of channels.
const CHANNELS = DIM_GROUPS;
const PAIRS = (HEAD_DIM + 63u) / 64u;
const SUMS = select(CHANNELS, 2u * PAIRS, HALF_VALUES);
const AT_ONCE = 8u;
const PART_WORDS = HEAD_DIM + 4u;
/// Below every score; infinity would make differences of it.
const LEAST = -1e30;

// Of a head and byte: queries times scales; zeros where lanes have no channels.
var<workgroup> queries: array<u32, select(4u * K_PARTS * LANES * 8u, 1u, HALF_KEYS)>;
// The same as they are, for keys in f16.
var<workgroup> float_queries: array<vec4<f32>, select(1u, 4u * LANES * 8u, HALF_KEYS)>;
// Of a head: the scale of queries, and the sum of queries times zero points.
var<workgroup> query_scales: array<vec2<f32>, 4>;
// Of a head and byte: softmax weights times scales of a page, by fours; for values in f16 as float32.
var<workgroup> weights: array<u32, select(64u * V_PARTS, 4u * BLOCK, HALF_VALUES)>;
// Of a head: what sums so far, and those of the page, are multiplied by.
var<workgroup> factors: array<vec2<f32>, 4>;

fn header_word(page: u32, head: u32, side: u32) -> u32 {
  return page + layer.header.x + head * layer.header.y + side * layer.header.z;
}

fn high_word(page: u32, head: u32, side: u32) -> u32 {
  return page + layer.high.x + head * layer.high.y + side * layer.high.z;
}

fn low_word(page: u32, head: u32, side: u32) -> u32 {
  return page + layer.low.x + head * layer.low.y + side * layer.low.z;
}

/// Where an f16 tile starts. Open pages and sink pages are laid out by their number of tokens.
fn half_tile(page: u32, page_tokens: u32, head: u32, side: u32) -> u32 {
  if (OWN_PAGE) {
    return page + ((layer.header.w * NUM_KV_HEADS + head) * 2u + side) * page_tokens * HALF_WORDS;
  }
  return high_word(page, head, side);
}

/// What the bytes of a word of metadata stand for.
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

/// Rounded to nearest, of a magnitude below 2^22: added to 1.5 * 2^23 the number is the last bits of the sum, which costs less than a conversion.
fn rounded(v: vec4<f32>) -> vec4<i32> {
  return bitcast<vec4<i32>>(v + vec4<f32>(12582912.0)) - vec4<i32>(0x4b400000);
}

fn greatest_of(thread: u32, value: f32, first_mask: u32, end_mask: u32) -> f32 {
  var greatest = value;
  for (var mask = first_mask; mask < end_mask; mask <<= 1u) {
    greatest = max(greatest, bitcast<f32>(from_other(thread, bitcast<u32>(greatest), mask)));
  }
  return greatest;
}

/// Sums over threads, of which all get the same bits.
fn sum_of(thread: u32, value: f32, first_mask: u32, end_mask: u32) -> f32 {
  var sum = value;
  for (var mask = first_mask; mask < end_mask; mask <<= 1u) {
    sum += bitcast<f32>(from_other(thread, bitcast<u32>(sum), mask));
  }
  return sum;
}

/// Sums of 4 heads over the lanes of a token: of them a thread gets its own heads'.
fn share_ints(thread: u32, value: vec4<i32>) -> vec2<i32> {
  let in_upper = (thread & (LANES / 2u)) != 0u;
  var pair = select(value.xy, value.zw, in_upper);
  pair += bitcast<vec2<i32>>(pair_from_other(thread, bitcast<vec2<u32>>(select(value.zw, value.xy, in_upper)), LANES / 2u));
  if (LANES == 2u) {
    return pair;
  }
  let is_odd = (thread & (LANES / 4u)) != 0u;
  var one = select(pair.x, pair.y, is_odd);
  one += bitcast<i32>(from_other(thread, bitcast<u32>(select(pair.y, pair.x, is_odd)), LANES / 4u));
  if (LANES == 8u) {
    one += bitcast<i32>(from_other(thread, bitcast<u32>(one), 1u));
  }
  return vec2<i32>(one, 0);
}

fn share_floats(thread: u32, value: vec4<f32>) -> vec2<f32> {
  let in_upper = (thread & (LANES / 2u)) != 0u;
  var pair = select(value.xy, value.zw, in_upper);
  pair += bitcast<vec2<f32>>(pair_from_other(thread, bitcast<vec2<u32>>(select(value.zw, value.xy, in_upper)), LANES / 2u));
  if (LANES == 2u) {
    return pair;
  }
  let is_odd = (thread & (LANES / 4u)) != 0u;
  var one = select(pair.x, pair.y, is_odd);
  one += bitcast<f32>(from_other(thread, bitcast<u32>(select(pair.y, pair.x, is_odd)), LANES / 4u));
  if (LANES == 8u) {
    one += bitcast<f32>(from_other(thread, bitcast<u32>(one), 1u));
  }
  return vec2<f32>(one, 0.0);
}

fn dot32(codes: Codes32, a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(codes.a.x, a.x) + dot4I8Packed(codes.a.y, a.y) + dot4I8Packed(codes.a.z, a.z) + dot4I8Packed(codes.a.w, a.w)
    + dot4I8Packed(codes.b.x, b.x) + dot4I8Packed(codes.b.y, b.y) + dot4I8Packed(codes.b.z, b.z) + dot4I8Packed(codes.b.w, b.w);
}

fn unsigned_dot32(codes: Codes32, a: vec4<u32>, b: vec4<u32>) -> i32 {
  return i32(dot4U8Packed(codes.a.x, a.x) + dot4U8Packed(codes.a.y, a.y) + dot4U8Packed(codes.a.z, a.z) + dot4U8Packed(codes.a.w, a.w)
    + dot4U8Packed(codes.b.x, b.x) + dot4U8Packed(codes.b.y, b.y) + dot4U8Packed(codes.b.z, b.z) + dot4U8Packed(codes.b.w, b.w));
}

/// 32 bytes of 4 heads. Named one by one: arrays that go through functions end in memory.
struct HeadBytes {
  a0: vec4<u32>,
  b0: vec4<u32>,
  a1: vec4<u32>,
  b1: vec4<u32>,
  a2: vec4<u32>,
  b2: vec4<u32>,
  a3: vec4<u32>,
  b3: vec4<u32>,
}

fn query_vector(word: u32) -> vec4<u32> {
  return vec4<u32>(queries[word], queries[word + 1u], queries[word + 2u], queries[word + 3u]);
}

/// A lane's channels of the queries' high or low bytes.
fn queries_of(lane: u32, part: u32) -> HeadBytes {
  const STRIDE = K_PARTS * LANES * 8u;
  let w = part * LANES * 8u + lane * 8u;
  return HeadBytes(
    query_vector(w), query_vector(w + 4u), query_vector(w + STRIDE), query_vector(w + STRIDE + 4u),
    query_vector(w + 2u * STRIDE), query_vector(w + 2u * STRIDE + 4u), query_vector(w + 3u * STRIDE), query_vector(w + 3u * STRIDE + 4u),
  );
}

fn weight_vector(word: u32) -> vec4<u32> {
  return vec4<u32>(weights[word], weights[word + 1u], weights[word + 2u], weights[word + 3u]);
}

/// 32 tokens of the weights' high or low bytes.
fn weights_of(group: u32, part: u32) -> HeadBytes {
  const STRIDE = V_PARTS * 16u;
  let w = part * 16u + group * 8u;
  return HeadBytes(
    weight_vector(w), weight_vector(w + 4u), weight_vector(w + STRIDE), weight_vector(w + STRIDE + 4u),
    weight_vector(w + 2u * STRIDE), weight_vector(w + 2u * STRIDE + 4u), weight_vector(w + 3u * STRIDE), weight_vector(w + 3u * STRIDE + 4u),
  );
}

fn dots_of(codes: Codes32, x: HeadBytes) -> vec4<i32> {
  return vec4<i32>(dot32(codes, x.a0, x.b0), dot32(codes, x.a1, x.b1), dot32(codes, x.a2, x.b2), dot32(codes, x.a3, x.b3));
}

fn unsigned_dots_of(codes: Codes32, x: HeadBytes) -> vec4<i32> {
  return vec4<i32>(
    unsigned_dot32(codes, x.a0, x.b0), unsigned_dot32(codes, x.a1, x.b1), unsigned_dot32(codes, x.a2, x.b2), unsigned_dot32(codes, x.a3, x.b3),
  );
}

fn load_key(page: u32, kv_head: u32, token: u32, lane: u32) -> PackedCodes {
  let high = high_word(page, kv_head, 0u) + token * plane_row_words(high_width(K_BITS), HEAD_DIM);
  let low = low_word(page, kv_head, 0u) + token * plane_row_words(low_width(K_BITS), HEAD_DIM);
  return load_codes(K_BITS, high, low, min(lane, DIM_GROUPS - 1u), HEAD_DIM);
}

fn load_channel(page: u32, kv_head: u32, channel: u32, group: u32) -> PackedCodes {
  let high = high_word(page, kv_head, 1u) + channel * plane_row_words(high_width(V_BITS), BLOCK);
  let low = low_word(page, kv_head, 1u) + channel * plane_row_words(low_width(V_BITS), BLOCK);
  return load_codes(V_BITS, high, low, group, BLOCK);
}

/// Products of a token's 32 channels with 4 heads' queries.
fn key_dots(packed: PackedCodes, lane: u32, high: HeadBytes, low: HeadBytes) -> vec4<i32> {
  let codes = unpack_codes(K_BITS, packed, min(lane, DIM_GROUPS - 1u), HEAD_DIM);
  let dots = dots_of(codes, high);
  if (!K_FINE) {
    return dots;
  }
  return dots * 128 + dots_of(codes, low);
}

/// The same in f16, of a token whose row starts at word `first`.
fn half_dots(first: u32, lane: u32) -> vec4<f32> {
  var sums = vec4<f32>(0.0);
  let end = min(HEAD_DIM / 8u, 4u * (lane + 1u));
  for (var octet = 4u * lane; octet < end; octet++) {
    let halves = arena[(first >> 2u) + octet];
    let k = vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
    let l = vec4<f32>(unpack2x16float(halves.z), unpack2x16float(halves.w));
    const STRIDE = LANES * 8u;
    let at = 2u * octet;
    sums += vec4<f32>(
      dot(float_queries[at], k) + dot(float_queries[at + 1u], l),
      dot(float_queries[at + STRIDE], k) + dot(float_queries[at + STRIDE + 1u], l),
      dot(float_queries[at + 2u * STRIDE], k) + dot(float_queries[at + 2u * STRIDE + 1u], l),
      dot(float_queries[at + 3u * STRIDE], k) + dot(float_queries[at + 3u * STRIDE + 1u], l),
    );
  }
  return sums;
}

/// The first of the heads, of 4, whose products a thread has.
fn first_head_of(thread: u32) -> u32 {
  let lane = thread % LANES;
  return select(select(lane, lane >> 1u, LANES == 8u), 2u * lane, LANES == 2u);
}

/// 4 weights as integers. @returns their high bytes, and their low ones
fn weight_words(codes: vec4<u32>) -> vec2<u32> {
  if (!V_FINE) {
    return vec2<u32>(pack4xU8(codes), 0u);
  }
  return vec2<u32>(pack4xU8(codes >> vec4<u32>(7u)), pack4xU8(codes & vec4<u32>(127u)));
}

// Long, since what a thread keeps from one phase to the next stays in registers.
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let unit = UNITS + (first_of(select(FORMAT_SEALED_UNITS, FORMAT_OWN_UNITS, OWN_PAGE)) + workgroup.x) * UNIT_WORDS;
  let row = step[unit + UNIT_ROW];
  let first_block = step[unit + UNIT_FIRST_BLOCK];
  let num_blocks = step[unit + UNIT_NUM_BLOCKS];
  let part = step[unit + UNIT_PART];
  let kv_head = workgroup.y / HEAD_TILES;
  let first_head = (workgroup.y % HEAD_TILES) * 4u;
  let base_head = kv_head * HEADS_PER_KV;
  let lane = thread % LANES;
  let slot = thread / LANES;
  let own_first = first_head_of(thread);
  let first_token = select(slot * TOKENS_EACH, slot, IS_SPREAD);
  let token_stride = select(1u, SLOTS, IS_SPREAD);

  // A head's channels, of which a thread has quads j, j + 8 and so on.
  let j = thread % 8u;
  let head = thread / 8u;
  var own_queries: array<vec4<f32>, DIM_GROUPS>;
  var query_sum = 0.0;
  for (var g = 0u; g < DIM_GROUPS; g++) {
    let quad = 8u * g + j;
    if (HEAD_DIM % 32u == 0u || quad < HEAD_DIM / 4u) {
      own_queries[g] = q[(row * NUM_HEADS + base_head + min(first_head + head, HEADS_PER_KV - 1u)) * (HEAD_DIM / 4u) + quad];
    }
    query_sum += total(own_queries[g]);
    if (HALF_KEYS) {
      float_queries[head * LANES * 8u + quad] = own_queries[g];
    }
  }
  workgroupBarrier();

  var sums: array<vec4<f32>, SUMS>;
  var most: array<f32, HEADS_EACH>;
  // Of this thread's tokens: weights, and weights times zero points.
  var weight_sums: array<vec2<f32>, HEADS_EACH>;
  for (var e = 0u; e < HEADS_EACH; e++) {
    most[e] = LEAST;
  }

  for (var block = 0u; block < num_blocks; block++) {
    let block_word = BLOCKS + (first_block + block) * BLOCK_WORDS;
    let page = step[block_word + BLOCK_PAGE];
    let tokens = step[block_word + BLOCK_TOKENS];
    let visible = tokens & 0xffu;
    let first_in_page = (tokens >> 8u) & 0xffu;
    let page_tokens = tokens >> 16u;
    // By quads: the products of this thread's tokens and heads.
    var scores: array<vec4<f32>, HEADS_EACH * QUADS>;
    if (HALF_KEYS) {
      // Others may still be reading what is written below.
      workgroupBarrier();
      let tile = half_tile(page, page_tokens, kv_head, 0u) + first_in_page * HALF_WORDS;
      for (var quad = 0u; quad < QUADS; quad++) {
        for (var e = 0u; e < HEADS_EACH; e++) {
          scores[e * QUADS + quad] = vec4<f32>(LEAST);
        }
        let token = first_token + 4u * quad * token_stride;
        var found: array<vec2<f32>, 4>;
        for (var i = 0u; i < 4u; i++) {
          if (!IS_SPREAD || (4u * quad + i) * SLOTS < visible) {
            // Beyond a short page lies what is no number of this tile.
            let at = min(token + i * token_stride, visible - 1u);
            found[i] = share_floats(thread, half_dots(tile + at * HALF_WORDS, lane));
          }
        }
        let is_visible = vec4<u32>(token) + vec4<u32>(0u, 1u, 2u, 3u) * token_stride < vec4<u32>(visible);
        scores[quad] = select(vec4<f32>(LEAST), vec4<f32>(found[0].x, found[1].x, found[2].x, found[3].x), is_visible);
        if (HEADS_EACH == 2u) {
          scores[QUADS + quad] = select(vec4<f32>(LEAST), vec4<f32>(found[0].y, found[1].y, found[2].y, found[3].y), is_visible);
        }
      }
    } else {
      // On their way while queries are quantized.
      var keys: array<PackedCodes, TOKENS_EACH>;
      for (var i = 0u; i < TOKENS_EACH; i++) {
        keys[i] = load_key(page, kv_head, slot * TOKENS_EACH + i, lane);
      }
      let tile = header_word(page, kv_head, 0u);
      let fields = arena[tile >> 2u];
      let last_fields = arena[(tile >> 2u) + 1u];
      var scaled: array<vec4<f32>, DIM_GROUPS>;
      var greatest = 0.0;
      var scaled_sum = 0.0;
      var zero_sum = 0.0;
      for (var g = 0u; g < DIM_GROUPS; g++) {
        let word = tile + 8u + BLOCK / 4u + 8u * g + j;
        scaled[g] = own_queries[g] * decoded(arena_words[word], bitcast<f32>(fields.z), bitcast<f32>(fields.w));
        zero_sum += dot(own_queries[g], vec4<f32>(unpack4xU8(arena_words[word + HEAD_DIM / 4u])));
        greatest = max(greatest, largest(scaled[g]));
        scaled_sum += total(scaled[g]);
      }
      greatest = greatest_of(thread, greatest, 1u, 8u);
      let inverse = select(0.0, K_RANGE / greatest, greatest > 0.0);
      var code_sum = 0;
      for (var g = 0u; g < DIM_GROUPS; g++) {
        let codes = rounded(scaled[g] * inverse);
        let word = head * K_PARTS * LANES * 8u + 8u * g + j;
        if (K_FINE) {
          queries[word] = pack4xI8(codes >> vec4<u32>(7u));
          queries[word + LANES * 8u] = pack4xI8(codes & vec4<i32>(127));
          code_sum += (codes.x + codes.y) + (codes.z + codes.w);
        } else {
          let packed = pack4xI8(codes);
          queries[word] = packed;
          code_sum += dot4I8Packed(packed, 0x01010101u);
        }
      }
      // What rounding loses in all is taken to meet the middle code.
      let lost = (scaled_sum - (greatest / K_RANGE) * f32(code_sum)) * MIDDLE_K;
      var zero = fma(bitcast<f32>(last_fields.y), zero_sum, bitcast<f32>(last_fields.x) * query_sum) + lost;
      if (K_FINE) {
        zero += 128.0 * scaled_sum;
      }
      zero = sum_of(thread, zero, 1u, 8u);
      if (j == 0u) {
        query_scales[head] = vec2<f32>(greatest / K_RANGE, zero);
      }
      workgroupBarrier();
      let high = queries_of(lane, 0u);
      let low = queries_of(lane, K_PARTS - 1u);
      for (var quad = 0u; quad < QUADS; quad++) {
        let a = share_ints(thread, key_dots(keys[4u * quad], lane, high, low));
        let b = share_ints(thread, key_dots(keys[4u * quad + 1u], lane, high, low));
        let c = share_ints(thread, key_dots(keys[4u * quad + 2u], lane, high, low));
        let d = share_ints(thread, key_dots(keys[4u * quad + 3u], lane, high, low));
        let factor = decoded(arena_words[tile + 8u + slot * QUADS + quad], bitcast<f32>(fields.x), bitcast<f32>(fields.y));
        let query = query_scales[own_first];
        scores[quad] = factor * fma(vec4<f32>(vec4<i32>(a.x, b.x, c.x, d.x)), vec4<f32>(query.x), vec4<f32>(query.y));
        if (HEADS_EACH == 2u) {
          let other = query_scales[own_first + 1u];
          scores[QUADS + quad] = factor * fma(vec4<f32>(vec4<i32>(a.y, b.y, c.y, d.y)), vec4<f32>(other.x), vec4<f32>(other.y));
        }
      }
    }

    // On their way during softmax.
    var channels: array<PackedCodes, 2u * CHANNELS>;
    if (!HALF_VALUES) {
      for (var i = 0u; i < CHANNELS; i++) {
        let channel = min(i * THREADS + thread, HEAD_DIM - 1u);
        channels[2u * i] = load_channel(page, kv_head, channel, 0u);
        channels[2u * i + 1u] = load_channel(page, kv_head, channel, 1u);
      }
    }

    let value_tile = header_word(page, kv_head, 1u);
    let value_fields = bitcast<vec4<f32>>(arena[value_tile >> 2u]);
    for (var e = 0u; e < HEADS_EACH; e++) {
      var page_most = LEAST;
      for (var quad = 0u; quad < QUADS; quad++) {
        let score = scores[e * QUADS + quad];
        page_most = max(page_most, max(max(score.x, score.y), max(score.z, score.w)));
      }
      page_most = max(most[e], greatest_of(thread, page_most, LANES, THREADS));
      let factor = exp(most[e] - page_most);
      most[e] = page_most;
      var sum = 0.0;
      var zero = 0.0;
      var exact = 0.0;
      var greatest = 0.0;
      for (var quad = 0u; quad < QUADS; quad++) {
        let weight = exp(scores[e * QUADS + quad] - vec4<f32>(page_most));
        sum += total(weight);
        if (HALF_VALUES) {
          for (var i = 0u; i < 4u; i++) {
            weights[(first_token + (4u * quad + i) * token_stride) * 4u + own_first + e] = bitcast<u32>(weight[i]);
          }
        } else {
          let word = value_tile + 4u + slot * QUADS + quad;
          let scaled = weight * decoded(arena_words[word], value_fields.x, value_fields.y);
          scores[e * QUADS + quad] = scaled;
          zero += dot(weight, decoded(arena_words[word + BLOCK / 4u], value_fields.z, value_fields.w));
          exact += total(scaled);
          greatest = max(greatest, largest(scaled));
        }
      }
      if (!HALF_VALUES) {
        greatest = greatest_of(thread, greatest, LANES, THREADS);
        let inverse = select(0.0, V_RANGE / greatest, greatest > 0.0);
        var code_sum = 0u;
        for (var quad = 0u; quad < QUADS; quad++) {
          let codes = vec4<u32>(rounded(scores[e * QUADS + quad] * inverse));
          let words = weight_words(codes);
          let word = (own_first + e) * V_PARTS * 16u + slot * QUADS + quad;
          weights[word] = words.x;
          if (V_FINE) {
            weights[word + 16u] = words.y;
          }
          code_sum += (codes.x + codes.y) + (codes.z + codes.w);
        }
        // What rounding loses in all is taken to weigh the middle code.
        zero += (exact - (greatest / V_RANGE) * f32(code_sum)) * MIDDLE_V;
        if (V_FINE) {
          zero += 128.0 * exact;
        }
      }
      weight_sums[e] = weight_sums[e] * factor + vec2<f32>(sum, zero);
      if (slot == 0u) {
        factors[own_first + e] = vec2<f32>(factor, select(greatest / V_RANGE, 1.0, HALF_VALUES));
      }
    }
    workgroupBarrier();

    let old = vec4<f32>(factors[0].x, factors[1].x, factors[2].x, factors[3].x);
    let new_factor = vec4<f32>(factors[0].y, factors[1].y, factors[2].y, factors[3].y);
    for (var i = 0u; i < SUMS; i++) {
      sums[i] *= old;
    }
    if (HALF_VALUES) {
      let tile = half_tile(page, page_tokens, kv_head, 1u) + first_in_page * HALF_WORDS;
      for (var first = 0u; first < visible; first += AT_ONCE) {
        var loaded: array<u32, AT_ONCE * PAIRS>;
        for (var i = 0u; i < AT_ONCE; i++) {
          for (var p = 0u; p < PAIRS; p++) {
            loaded[i * PAIRS + p] = arena_words[tile + min(first + i, visible - 1u) * HALF_WORDS + min(p * THREADS + thread, HALF_WORDS - 1u)];
          }
        }
        for (var i = 0u; i < AT_ONCE; i++) {
          let at = (first + i) * 4u;
          let weight = bitcast<vec4<f32>>(weight_vector(at));
          for (var p = 0u; p < PAIRS; p++) {
            let pair = unpack2x16float(loaded[i * PAIRS + p]);
            sums[2u * p] = fma(weight, vec4<f32>(pair.x), sums[2u * p]);
            sums[2u * p + 1u] = fma(weight, vec4<f32>(pair.y), sums[2u * p + 1u]);
          }
        }
      }
    } else {
      var dots: array<vec4<i32>, CHANNELS>;
      for (var group = 0u; group < 2u; group++) {
        let high = weights_of(group, 0u);
        let low = weights_of(group, V_PARTS - 1u);
        for (var i = 0u; i < CHANNELS; i++) {
          let codes = unpack_codes(V_BITS, channels[2u * i + group], group, BLOCK);
          if (V_FINE) {
            dots[i] += dots_of(codes, high) * 128 + dots_of(codes, low);
          } else {
            dots[i] += unsigned_dots_of(codes, high);
          }
        }
      }
      for (var i = 0u; i < CHANNELS; i++) {
        sums[i] = fma(vec4<f32>(dots[i]), new_factor, sums[i]);
      }
    }
  }

  workgroupBarrier();
  for (var e = 0u; e < HEADS_EACH; e++) {
    let sum = sum_of(thread, weight_sums[e].x, LANES, THREADS);
    let zero = sum_of(thread, weight_sums[e].y, LANES, THREADS);
    let own = first_head + own_first + e;
    if (slot == 0u) {
      factors[own_first + e] = vec2<f32>(0.0, zero);
      if (own < HEADS_PER_KV) {
        let at = (part * NUM_HEADS + base_head + own) * PART_WORDS + HEAD_DIM;
        parts[at] = most[e];
        parts[at + 1u] = sum;
      }
    }
  }
  workgroupBarrier();
  let zeros = vec4<f32>(factors[0].y, factors[1].y, factors[2].y, factors[3].y);
  for (var i = 0u; i < SUMS; i++) {
    let channel = select(i * THREADS + thread, 2u * ((i / 2u) * THREADS + thread) + i % 2u, HALF_VALUES);
    let value = sums[i] + zeros;
    for (var h = 0u; h < 4u; h++) {
      if (first_head + h < HEADS_PER_KV && channel < HEAD_DIM) {
        parts[(part * NUM_HEADS + base_head + first_head + h) * PART_WORDS + channel] = value[h];
      }
    }
  }
}
