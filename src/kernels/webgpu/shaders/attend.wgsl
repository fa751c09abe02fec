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
//   1 queries times scales, quantized      8 threads a head, each every 8th octet of channels
//   2 products of queries and keys         two threads a token, each every second group of 32 channels
//   3 softmax of the page                  4 tokens of two heads: the first two, or the last
//   4 values                               a channel of each 32, or two of each 64
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, HEAD_TILES, K_BITS, V_BITS: u32; with step.wgsl, planes.wgsl, lanes-*.wgsl, attend-open.wgsl

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
/// Groups of 32 channels that a thread has of a token; tokens of a page that it has.
const GROUPS_EACH = (DIM_GROUPS + 1u) / 2u;
const TOKENS_EACH = 4u;
/// Octets of channels that a thread has of a head.
const OCTETS_EACH = (HEAD_DIM + 63u) / 64u;
const K_FINE = K_BITS == 8u;
const V_FINE = V_BITS == 8u;
const K_PARTS = select(1u, 2u, K_FINE);
const V_PARTS = select(1u, 2u, V_FINE);
const K_RANGE = select(127.0, 8191.0, K_FINE);
const V_RANGE = select(255.0, 16383.0, V_FINE);
/// Of codes as they are multiplied: those of 8 bits less 128.
const MIDDLE_K = select(f32((1u << min(K_BITS, 8u)) - 1u) / 2.0, -0.5, K_FINE);
const MIDDLE_V = select(f32((1u << min(V_BITS, 8u)) - 1u) / 2.0, -0.5, V_FINE);
const HALF_KEYS = K_BITS == 16u;
const HALF_VALUES = V_BITS == 16u;
const HALF_WORDS = HEAD_DIM / 2u;
/// Phase 4: channels of a thread; in f16, pairs of channels.
const CHANNELS = DIM_GROUPS;
const PAIRS = (HEAD_DIM + 63u) / 64u;
const SUMS = select(CHANNELS, 2u * PAIRS, HALF_VALUES);
const PART_WORDS = HEAD_DIM + 4u;
/// Below every score; infinity would make differences of it.
const LEAST = -1e30;

// Of a head, and byte: queries times scales by eights; zeros beyond the last channel.
var<workgroup> queries: array<vec2<u32>, 4u * K_PARTS * GROUPS_EACH * 8u>;
// Of a head: the scale of queries, and the sum of queries times zero points.
var<workgroup> query_scales: array<vec2<f32>, 4>;
// Of four tokens, and byte: softmax weights times scales of the first two heads, then of the last two; as float32 of a token, where values are f16.
var<workgroup> weights: array<vec2<u32>, 2u * BLOCK>;
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

/// What the bytes of a word of metadata stand for.
fn decoded(bytes: u32, lo: f32, size: f32) -> vec4<f32> {
  return vec4<f32>(lo) + size * vec4<f32>(unpack4xU8(bytes));
}

fn largest(v: vec4<f32>) -> f32 {
  let m = abs(v);
  return max(max(m.x, m.y), max(m.z, m.w));
}

fn greatest_in(v: vec4<f32>) -> f32 {
  return max(max(v.x, v.y), max(v.z, v.w));
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

/// Sums of 4 heads over the two threads of a token: of them a thread gets its own heads'.
fn share_ints(thread: u32, value: vec4<i32>) -> vec2<i32> {
  let is_odd = (thread & 1u) != 0u;
  let other = pair_from_other(thread, bitcast<vec2<u32>>(select(value.zw, value.xy, is_odd)), 1u);
  return select(value.xy, value.zw, is_odd) + bitcast<vec2<i32>>(other);
}

fn share_floats(thread: u32, value: vec4<f32>) -> vec2<f32> {
  let is_odd = (thread & 1u) != 0u;
  let other = pair_from_other(thread, bitcast<vec2<u32>>(select(value.zw, value.xy, is_odd)), 1u);
  return select(value.xy, value.zw, is_odd) + bitcast<vec2<f32>>(other);
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

fn query_vector(at: u32) -> vec4<u32> {
  return vec4<u32>(queries[at], queries[at + 1u]);
}

/// 32 channels of the queries' high or low bytes.
fn queries_of(group: u32, part: u32) -> HeadBytes {
  const STRIDE = K_PARTS * GROUPS_EACH * 8u;
  let at = (part * GROUPS_EACH * 2u + group) * 4u;
  return HeadBytes(
    query_vector(at), query_vector(at + 2u), query_vector(at + STRIDE), query_vector(at + STRIDE + 2u),
    query_vector(at + 2u * STRIDE), query_vector(at + 2u * STRIDE + 2u), query_vector(at + 3u * STRIDE), query_vector(at + 3u * STRIDE + 2u),
  );
}

/// 32 tokens of the weights' high or low bytes.
fn weights_of(group: u32, part: u32) -> HeadBytes {
  let at = part * 32u + group * 16u;
  let p0 = weights[at];
  let p1 = weights[at + 2u];
  let p2 = weights[at + 4u];
  let p3 = weights[at + 6u];
  let p4 = weights[at + 8u];
  let p5 = weights[at + 10u];
  let p6 = weights[at + 12u];
  let p7 = weights[at + 14u];
  let q0 = weights[at + 1u];
  let q1 = weights[at + 3u];
  let q2 = weights[at + 5u];
  let q3 = weights[at + 7u];
  let q4 = weights[at + 9u];
  let q5 = weights[at + 11u];
  let q6 = weights[at + 13u];
  let q7 = weights[at + 15u];
  return HeadBytes(
    vec4<u32>(p0.x, p1.x, p2.x, p3.x), vec4<u32>(p4.x, p5.x, p6.x, p7.x), vec4<u32>(p0.y, p1.y, p2.y, p3.y), vec4<u32>(p4.y, p5.y, p6.y, p7.y),
    vec4<u32>(q0.x, q1.x, q2.x, q3.x), vec4<u32>(q4.x, q5.x, q6.x, q7.x), vec4<u32>(q0.y, q1.y, q2.y, q3.y), vec4<u32>(q4.y, q5.y, q6.y, q7.y),
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

fn page_of(block: u32) -> u32 {
  return step[BLOCKS + block * BLOCK_WORDS + BLOCK_PAGE];
}

/// Those of a group that is not there meet zeros.
fn load_key(page: u32, kv_head: u32, token: u32, group: u32) -> PackedCodes {
  let high = high_word(page, kv_head, 0u) + token * plane_row_words(high_width(K_BITS), HEAD_DIM);
  let low = low_word(page, kv_head, 0u) + token * plane_row_words(low_width(K_BITS), HEAD_DIM);
  return load_codes(K_BITS, high, low, min(group, DIM_GROUPS - 1u), HEAD_DIM);
}

fn load_channel(page: u32, kv_head: u32, channel: u32, group: u32) -> PackedCodes {
  let high = high_word(page, kv_head, 1u) + channel * plane_row_words(high_width(V_BITS), BLOCK);
  let low = low_word(page, kv_head, 1u) + channel * plane_row_words(low_width(V_BITS), BLOCK);
  return load_codes(V_BITS, high, low, group, BLOCK);
}

/// Products of a token's 32 channels with 4 heads' queries.
fn key_dots(packed: PackedCodes, group: u32, high: HeadBytes, low: HeadBytes) -> vec4<i32> {
  let codes = unpack_codes(K_BITS, packed, min(group, DIM_GROUPS - 1u), HEAD_DIM);
  let dots = dots_of(codes, high);
  if (!K_FINE) {
    return dots;
  }
  return dots * 128 + dots_of(codes, low);
}

// Long, since what a thread keeps from one phase to the next stays in registers.
@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  // Those of a page's heads come one after another, as they lie.
  let unit_index = first_of(FORMAT_UNITS) + workgroup.z * workgroups.y + workgroup.y;
  if (unit_index >= first_of(FORMAT_END_OF_UNITS)) {
    return;
  }
  let unit = UNITS + unit_index * UNIT_WORDS;
  let row = step[unit + UNIT_ROW];
  let first_block = step[unit + UNIT_FIRST_BLOCK];
  let num_blocks = step[unit + UNIT_NUM_BLOCKS];
  let part = step[unit + UNIT_PART];
  let kv_head = workgroup.x / HEAD_TILES;
  let first_head = (workgroup.x % HEAD_TILES) * 4u;
  let base_head = kv_head * HEADS_PER_KV;
  if (unit_index < first_of(FORMAT_SEALED_UNITS)) {
    attend_open(thread, row, first_block, part, kv_head, first_head);
    return;
  }
  let lane = thread & 1u;
  let slot = thread >> 1u;
  // A head's channels, of which a thread has octets j, j + 8 and so on.
  let j = thread % 8u;
  let head = thread / 8u;
  let own_row = row * NUM_HEADS + base_head + min(first_head + head, HEADS_PER_KV - 1u);

  var sums = array<vec4<f32>, SUMS>();
  var most = vec2<f32>(LEAST);
  // Of this thread's tokens: weights, and weights times zero points.
  var weight_sums = vec2<f32>(0.0);
  var zero_sums = vec2<f32>(0.0);

  var page = page_of(first_block);
  for (var block = 0u; block < num_blocks; block++) {
    // Asked for early, as metadata is below: what waits for one load after another waits for long. The last page is asked for again.
    let next_page = page_of(first_block + min(block + 1u, num_blocks - 1u));
    // This thread's tokens, of either head.
    var scores_a = vec4<f32>();
    var scores_b = vec4<f32>();
    if (HALF_KEYS) {
      // Others may still be reading what is written below.
      workgroupBarrier();
      let tile = high_word(page, kv_head, 0u) + TOKENS_EACH * slot * HALF_WORDS;
      let a = share_floats(thread, half_dots(tile, lane, row, base_head, first_head));
      let b = share_floats(thread, half_dots(tile + HALF_WORDS, lane, row, base_head, first_head));
      let c = share_floats(thread, half_dots(tile + 2u * HALF_WORDS, lane, row, base_head, first_head));
      let d = share_floats(thread, half_dots(tile + 3u * HALF_WORDS, lane, row, base_head, first_head));
      scores_a = vec4<f32>(a.x, b.x, c.x, d.x);
      scores_b = vec4<f32>(a.y, b.y, c.y, d.y);
    } else {
      let tile = header_word(page, kv_head, 0u);
      let fields = bitcast<vec4<f32>>(arena[tile >> 2u]);
      let last_fields = bitcast<vec4<f32>>(arena[(tile >> 2u) + 1u]);
      let factor_word = arena_words[tile + 8u + slot];
      // On their way while queries are quantized.
      var keys = array<PackedCodes, TOKENS_EACH * GROUPS_EACH>();
      for (var i = 0u; i < TOKENS_EACH * GROUPS_EACH; i++) {
        keys[i] = load_key(page, kv_head, slot * TOKENS_EACH + i % TOKENS_EACH, 2u * (i / TOKENS_EACH) + lane);
      }
      var scaled = array<vec4<f32>, 2u * OCTETS_EACH>();
      var greatest = 0.0;
      var scaled_sum = 0.0;
      var byte_sum = 0.0;
      var query_sum = 0.0;
      for (var g = 0u; g < 2u * OCTETS_EACH; g++) {
        let quad = 2u * (8u * (g / 2u) + j) + g % 2u;
        if (HEAD_DIM % 64u == 0u || quad < HEAD_DIM / 4u) {
          let word = tile + 8u + BLOCK / 4u + quad;
          let query = q[own_row * (HEAD_DIM / 4u) + quad];
          scaled[g] = query * decoded(arena_words[word], fields.z, fields.w);
          byte_sum += dot(query, vec4<f32>(unpack4xU8(arena_words[word + HEAD_DIM / 4u])));
          query_sum += total(query);
        }
        greatest = max(greatest, largest(scaled[g]));
        scaled_sum += total(scaled[g]);
      }
      greatest = greatest_of(thread, greatest, 1u, 8u);
      let inverse = select(0.0, K_RANGE / greatest, greatest > 0.0);
      var code_sum = 0;
      for (var g = 0u; g < OCTETS_EACH; g++) {
        let a = rounded(scaled[2u * g] * inverse);
        let b = rounded(scaled[2u * g + 1u] * inverse);
        let at = head * K_PARTS * GROUPS_EACH * 8u + 8u * g + j;
        if (K_FINE) {
          queries[at] = vec2<u32>(pack4xI8(a >> vec4<u32>(7u)), pack4xI8(b >> vec4<u32>(7u)));
          queries[at + GROUPS_EACH * 8u] = vec2<u32>(pack4xI8(a & vec4<i32>(127)), pack4xI8(b & vec4<i32>(127)));
          let both = a + b;
          code_sum += (both.x + both.y) + (both.z + both.w);
        } else {
          let packed = vec2<u32>(pack4xI8(a), pack4xI8(b));
          queries[at] = packed;
          code_sum += dot4I8Packed(packed.x, 0x01010101u) + dot4I8Packed(packed.y, 0x01010101u);
        }
      }
      // What rounding loses in all is taken to meet the middle code.
      let lost = (scaled_sum - (greatest / K_RANGE) * f32(code_sum)) * MIDDLE_K;
      var zero = fma(last_fields.y, byte_sum, last_fields.x * query_sum) + lost;
      if (K_FINE) {
        zero += 128.0 * scaled_sum;
      }
      zero = sum_of(thread, zero, 1u, 8u);
      if (j == 0u) {
        query_scales[head] = vec2<f32>(greatest / K_RANGE, zero);
      }
      workgroupBarrier();
      var dots = array<vec4<i32>, TOKENS_EACH>();
      for (var g = 0u; g < GROUPS_EACH; g++) {
        let group = 2u * g + lane;
        let high = queries_of(group, 0u);
        let low = queries_of(group, K_PARTS - 1u);
        for (var i = 0u; i < TOKENS_EACH; i++) {
          dots[i] += key_dots(keys[g * TOKENS_EACH + i], group, high, low);
        }
      }
      let a = share_ints(thread, dots[0]);
      let b = share_ints(thread, dots[1]);
      let c = share_ints(thread, dots[2]);
      let d = share_ints(thread, dots[3]);
      let factor = decoded(factor_word, fields.x, fields.y);
      let first = query_scales[2u * lane];
      let second = query_scales[2u * lane + 1u];
      scores_a = factor * fma(vec4<f32>(vec4<i32>(a.x, b.x, c.x, d.x)), vec4<f32>(first.x), vec4<f32>(first.y));
      scores_b = factor * fma(vec4<f32>(vec4<i32>(a.y, b.y, c.y, d.y)), vec4<f32>(second.x), vec4<f32>(second.y));
    }

    // On their way during softmax.
    var channels = array<PackedCodes, 2u * CHANNELS>();
    var value_fields = vec4<f32>();
    var value_words = vec2<u32>();
    if (!HALF_VALUES) {
      let tile = header_word(page, kv_head, 1u);
      value_fields = bitcast<vec4<f32>>(arena[tile >> 2u]);
      value_words = vec2<u32>(arena_words[tile + 4u + slot], arena_words[tile + 4u + BLOCK / 4u + slot]);
      for (var i = 0u; i < 2u * CHANNELS; i++) {
        channels[i] = load_channel(page, kv_head, min((i / 2u) * THREADS + thread, HEAD_DIM - 1u), i % 2u);
      }
    }
    let page_most = max(most, vec2<f32>(greatest_of(thread, greatest_in(scores_a), 2u, THREADS), greatest_of(thread, greatest_in(scores_b), 2u, THREADS)));
    let factor = exp(most - page_most);
    most = page_most;
    let weight_a = exp(scores_a - vec4<f32>(most.x));
    let weight_b = exp(scores_b - vec4<f32>(most.y));
    weight_sums = weight_sums * factor + vec2<f32>(total(weight_a), total(weight_b));
    if (HALF_VALUES) {
      let a = bitcast<vec4<u32>>(weight_a);
      let b = bitcast<vec4<u32>>(weight_b);
      let at = 2u * TOKENS_EACH * slot + lane;
      weights[at] = vec2<u32>(a.x, b.x);
      weights[at + 2u] = vec2<u32>(a.y, b.y);
      weights[at + 4u] = vec2<u32>(a.z, b.z);
      weights[at + 6u] = vec2<u32>(a.w, b.w);
      if (slot == 0u) {
        factors[2u * lane] = vec2<f32>(factor.x, 1.0);
        factors[2u * lane + 1u] = vec2<f32>(factor.y, 1.0);
      }
    } else {
      let scales = decoded(value_words.x, value_fields.x, value_fields.y);
      let zeros = decoded(value_words.y, value_fields.z, value_fields.w);
      let a = weight_a * scales;
      let b = weight_b * scales;
      let greatest = vec2<f32>(greatest_of(thread, greatest_in(a), 2u, THREADS), greatest_of(thread, greatest_in(b), 2u, THREADS));
      let inverse = select(vec2<f32>(0.0), vec2<f32>(V_RANGE) / greatest, greatest > vec2<f32>(0.0));
      let codes_a = vec4<u32>(rounded(a * inverse.x));
      let codes_b = vec4<u32>(rounded(b * inverse.y));
      let at = 2u * slot + lane;
      if (V_FINE) {
        weights[at] = vec2<u32>(pack4xU8(codes_a >> vec4<u32>(7u)), pack4xU8(codes_b >> vec4<u32>(7u)));
        weights[at + 32u] = vec2<u32>(pack4xU8(codes_a & vec4<u32>(127u)), pack4xU8(codes_b & vec4<u32>(127u)));
      } else {
        weights[at] = vec2<u32>(pack4xU8(codes_a), pack4xU8(codes_b));
      }
      let exact = vec2<f32>(total(a), total(b));
      let code_sums = vec2<f32>(f32((codes_a.x + codes_a.y) + (codes_a.z + codes_a.w)), f32((codes_b.x + codes_b.y) + (codes_b.z + codes_b.w)));
      let unit = greatest / V_RANGE;
      // What rounding loses in all is taken to weigh the middle code.
      var zero = vec2<f32>(dot(weight_a, zeros), dot(weight_b, zeros)) + (exact - unit * code_sums) * MIDDLE_V;
      if (V_FINE) {
        zero += 128.0 * exact;
      }
      zero_sums = zero_sums * factor + zero;
      if (slot == 0u) {
        factors[2u * lane] = vec2<f32>(factor.x, unit.x);
        factors[2u * lane + 1u] = vec2<f32>(factor.y, unit.y);
      }
    }
    workgroupBarrier();

    let old = vec4<f32>(factors[0].x, factors[1].x, factors[2].x, factors[3].x);
    for (var i = 0u; i < SUMS; i++) {
      sums[i] *= old;
    }
    if (HALF_VALUES) {
      let tile = high_word(page, kv_head, 1u);
      for (var token = 0u; token < BLOCK; token++) {
        let weight = bitcast<vec4<f32>>(vec4<u32>(weights[2u * token], weights[2u * token + 1u]));
        for (var p = 0u; p < PAIRS; p++) {
          let pair = unpack2x16float(arena_words[tile + token * HALF_WORDS + min(p * THREADS + thread, HALF_WORDS - 1u)]);
          sums[2u * p] = fma(weight, vec4<f32>(pair.x), sums[2u * p]);
          sums[2u * p + 1u] = fma(weight, vec4<f32>(pair.y), sums[2u * p + 1u]);
        }
      }
    } else {
      let unit = vec4<f32>(factors[0].y, factors[1].y, factors[2].y, factors[3].y);
      var dots = array<vec4<i32>, CHANNELS>();
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
        sums[i] = fma(vec4<f32>(dots[i]), unit, sums[i]);
      }
    }
    page = next_page;
  }

  let weight_a = sum_of(thread, weight_sums.x, 2u, THREADS);
  let weight_b = sum_of(thread, weight_sums.y, 2u, THREADS);
  let zero_a = sum_of(thread, zero_sums.x, 2u, THREADS);
  let zero_b = sum_of(thread, zero_sums.y, 2u, THREADS);
  workgroupBarrier();
  if (slot == 0u) {
    factors[2u * lane] = vec2<f32>(0.0, zero_a);
    factors[2u * lane + 1u] = vec2<f32>(0.0, zero_b);
    store_state(part, base_head, first_head + 2u * lane, most.x, weight_a);
    store_state(part, base_head, first_head + 2u * lane + 1u, most.y, weight_b);
  }
  workgroupBarrier();
  let zeros = vec4<f32>(factors[0].y, factors[1].y, factors[2].y, factors[3].y);
  for (var i = 0u; i < SUMS; i++) {
    let channel = select(i * THREADS + thread, 2u * ((i / 2u) * THREADS + thread) + i % 2u, HALF_VALUES);
    store_values(part, base_head, first_head, channel, sums[i] + zeros);
  }
}
