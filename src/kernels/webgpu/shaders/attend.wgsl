// Attention of up to 4 query heads of a row, which share a KV head, to blocks of 64 tokens. A workgroup goes over a unit's blocks, SPLIT at
// a time, and leaves a softmax state. Integer dot products only where tiles are sealed:
//
//   K[t][c] = a[t] (s[c] k[t][c] + z[c]):  score[t] = a[t] (sum_c (q[c] s[c]) k[t][c] + sum_c q[c] z[c])
//   V[t][c] = s[t] v[t][c] + z[t]:         out[c]   = sum_t (p[t] s[t]) v[t][c] + sum_t p[t] z[t]
//
// q s and p s become integers with a scale for each block: of 8 bits, or of 14 in two bytes where codes have 8 bits. With 16 bits a side is
// f16 and multiplied in float32. Sums over threads are of integers or in a fixed order, and no block's bits depend on where a unit starts, as
// long as that is a multiple of SPLIT.
//
// Phases of a split, with barriers in between:
//   1 queries times scales, quantized for each block        4 threads a block and head
//   2 scores                                                LANES threads a token, each some groups of 32 channels
//   3 softmax of each block, weights quantized              a thread 4 tokens
//   4 values                                                a thread a channel, or channels
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, HEAD_TILES, K_BITS, V_BITS, WORKGROUP, SPLIT, LANES: u32
// const OWN_PAGE: bool: f16 pages, laid out by their number of tokens; with step.wgsl, planes.wgsl, softmax-state.wgsl, lanes-*.wgsl

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
const K_FINE = K_BITS == 8u;
const V_FINE = V_BITS == 8u;
const K_PARTS = select(1u, 2u, K_FINE);
const V_PARTS = select(1u, 2u, V_FINE);
const HALF_WORDS = HEAD_DIM / 2u;
/// Threads of phase 3 that a block has, each with 4 tokens.
const BLOCK_THREADS = BLOCK / 4u;
const CHANNELS = (HEAD_DIM + WORKGROUP - 1u) / WORKGROUP;
/// Threads of phase 4 that share a channel, each with its own blocks.
const SHARES = select(1u, WORKGROUP / HEAD_DIM, HEAD_DIM < WORKGROUP);
const PART_WORDS = HEAD_DIM + 2u;
/// Of codes as they are multiplied: those of 8 bits less 128.
const MIDDLE_K = select(f32((1u << min(K_BITS, 8u)) - 1u) / 2.0, -0.5, K_FINE);
const MIDDLE_V = select(f32((1u << min(V_BITS, 8u)) - 1u) / 2.0, -0.5, V_FINE);

// Queries times scales of a block and head, as bytes.
var<workgroup> queries: array<vec4<u32>, SPLIT * 4u * DIM_GROUPS * 2u * K_PARTS>;
// Of a block and head: the scale of these, and the sum of queries times zero points.
var<workgroup> query_scales: array<vec2<f32>, SPLIT * 4u>;
// Of a token the scores of 4 heads, then (f16) their weights.
var<workgroup> scores: array<vec4<f32>, SPLIT * BLOCK>;
// Of a block and head the softmax weights times scales, as bytes.
var<workgroup> weights: array<vec4<u32>, SPLIT * 4u * 4u * V_PARTS>;
var<workgroup> reduced: array<vec4<f32>, WORKGROUP>;
var<workgroup> reduced_sum: array<vec4<f32>, WORKGROUP>;
var<workgroup> reduced_zero: array<vec4<f32>, WORKGROUP>;
// Of a block, for 4 heads: maximum, sum of weights, sum of weights times zero points, scale of quantized weights.
var<workgroup> block_most: array<vec4<f32>, SPLIT>;
var<workgroup> block_sum: array<vec4<f32>, SPLIT>;
var<workgroup> block_zero: array<vec4<f32>, SPLIT>;
var<workgroup> block_scale: array<vec4<f32>, SPLIT>;
var<workgroup> block_page: array<u32, SPLIT>;
var<workgroup> block_tokens: array<u32, SPLIT>;
var<workgroup> page_tokens: array<u32, SPLIT>;
var<workgroup> shared_values: array<vec4<f32>, WORKGROUP>;

fn f32_at(word: u32) -> f32 {
  return bitcast<f32>(arena_word(word));
}

fn meta_word(page: u32, head: u32, side: u32) -> u32 {
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

/// Phase 1 for a block and head: a quarter of the channels.
fn quantize_queries(pair: u32, quarter: u32, thread: u32, row: u32, kv_head: u32, head: u32, is_there: bool) {
  const QUADS = HEAD_DIM / 16u;
  let block = pair / 4u;
  var values: array<vec4<f32>, QUADS>;
  var most = 0.0;
  var zero = 0.0;
  if (is_there) {
    let tile = meta_word(block_page[block], kv_head, 0u);
    let s_lo = f32_at(tile + 2u);
    let s_step = f32_at(tile + 3u);
    let z_lo = f32_at(tile + 4u);
    let z_step = f32_at(tile + 5u);
    let s_bytes = tile + 8u + BLOCK / 4u;
    let z_bytes = s_bytes + HEAD_DIM / 4u;
    for (var i = 0u; i < QUADS; i++) {
      let quad = quarter * QUADS + i;
      let x = query_quad(row, head, quad);
      let s = vec4<f32>(s_lo) + s_step * vec4<f32>(unpack4xU8(arena_word(s_bytes + quad)));
      var z = vec4<f32>(z_lo) + z_step * vec4<f32>(unpack4xU8(arena_word(z_bytes + quad)));
      if (K_FINE) {
        z += 128.0 * s;
      }
      let scaled = x * s;
      values[i] = scaled;
      let magnitudes = abs(scaled);
      most = max(most, max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w)));
      zero += dot(x, z);
    }
  }
  reduced[thread] = vec4<f32>(most);
  workgroupBarrier();
  let first = thread & ~3u;
  let greatest = max(max(reduced[first].x, reduced[first + 1u].x), max(reduced[first + 2u].x, reduced[first + 3u].x));
  let range = select(127.0, 8191.0, K_FINE);
  let inverse = select(0.0, range / greatest, greatest > 0.0);
  if (is_there) {
    var rest = 0.0;
    for (var i = 0u; i < QUADS; i++) {
      let codes = vec4<i32>(round(values[i] * inverse));
      let lost = values[i] - vec4<f32>(codes) * (greatest / range);
      rest += (lost.x + lost.y) + (lost.z + lost.w);
      store_query(pair, 0u, quarter * QUADS + i, pack4xI8(select(codes, codes >> vec4<u32>(7u), K_FINE)));
      if (K_FINE) {
        store_query(pair, 1u, quarter * QUADS + i, pack4xI8(codes & vec4<i32>(127)));
      }
    }
    // What rounding loses in all is taken to meet the middle code.
    reduced_sum[thread] = vec4<f32>(zero + rest * MIDDLE_K);
  }
  workgroupBarrier();
  if (is_there && quarter == 0u) {
    let zeros = (reduced_sum[first].x + reduced_sum[first + 1u].x) + (reduced_sum[first + 2u].x + reduced_sum[first + 3u].x);
    query_scales[pair] = vec2<f32>(greatest / range, zeros);
  }
  workgroupBarrier();
}

fn store_query(pair: u32, part: u32, word: u32, codes: u32) {
  queries[(pair * K_PARTS + part) * (DIM_GROUPS * 2u) + (word >> 2u)][word & 3u] = codes;
}

fn dot32(codes: Words8, first: u32) -> i32 {
  let a = queries[first];
  let b = queries[first + 1u];
  return dot4I8Packed(codes.a.x, a.x) + dot4I8Packed(codes.a.y, a.y) + dot4I8Packed(codes.a.z, a.z) + dot4I8Packed(codes.a.w, a.w)
    + dot4I8Packed(codes.b.x, b.x) + dot4I8Packed(codes.b.y, b.y) + dot4I8Packed(codes.b.z, b.z) + dot4I8Packed(codes.b.w, b.w);
}

/// Products of a token's group of 32 channels with 4 heads' queries.
fn dots_of(codes: Words8, block: u32, group: u32) -> vec4<i32> {
  const STRIDE = DIM_GROUPS * 2u * K_PARTS;
  let first = block * 4u * STRIDE + 2u * group;
  let dots = vec4<i32>(dot32(codes, first), dot32(codes, first + STRIDE), dot32(codes, first + 2u * STRIDE), dot32(codes, first + 3u * STRIDE));
  if (!K_FINE) {
    return dots;
  }
  let low = first + DIM_GROUPS * 2u;
  return dots * 128 + vec4<i32>(dot32(codes, low), dot32(codes, low + STRIDE), dot32(codes, low + 2u * STRIDE), dot32(codes, low + 3u * STRIDE));
}

/// Phase 2 for a sealed token.
fn sealed_scores(token: u32, lane: u32, kv_head: u32) -> vec4<f32> {
  let block = token / BLOCK;
  let index = token % BLOCK;
  let page = block_page[block];
  let high = high_word(page, kv_head, 0u) + index * plane_row_words(high_width(K_BITS), HEAD_DIM);
  let low = low_word(page, kv_head, 0u) + index * plane_row_words(low_width(K_BITS), HEAD_DIM);
  var dots = vec4<i32>(0);
  for (var i = 0u; i < GROUPS_PER_LANE; i++) {
    let group = lane + i * LANES;
    dots += dots_of(row_codes(K_BITS, high, low, group, HEAD_DIM), block, group);
  }
  let sums = vec4<f32>(sum_lanes(dots));
  let tile = meta_word(page, kv_head, 0u);
  let factor = f32_at(tile) + f32_at(tile + 1u) * f32(arena_byte(tile + 8u, index));
  let a = query_scales[4u * block];
  let b = query_scales[4u * block + 1u];
  let c = query_scales[4u * block + 2u];
  let d = query_scales[4u * block + 3u];
  return factor * fma(sums, vec4<f32>(a.x, b.x, c.x, d.x), vec4<f32>(a.y, b.y, c.y, d.y));
}

/// Phase 2 for a token in f16.
fn half_scores(token: u32, lane: u32, row: u32, kv_head: u32, heads: vec4<u32>) -> vec4<f32> {
  let first = half_tile(token / BLOCK, kv_head, 0u) + (token % BLOCK) * HALF_WORDS;
  var sums = vec4<f32>(0.0);
  for (var i = 0u; i < GROUPS_PER_LANE; i++) {
    let group = lane + i * LANES;
    let end = min(HEAD_DIM / 4u, 8u * (group + 1u));
    for (var quad = 8u * group; quad < end; quad++) {
      let k = vec4<f32>(unpack2x16float(arena_word(first + 2u * quad)), unpack2x16float(arena_word(first + 2u * quad + 1u)));
      sums += vec4<f32>(
        dot(query_quad(row, heads.x, quad), k), dot(query_quad(row, heads.y, quad), k),
        dot(query_quad(row, heads.z, quad), k), dot(query_quad(row, heads.w, quad), k),
      );
    }
  }
  return sum_lanes_float(sums);
}

/// Phase 3: softmax of each block by itself.
fn weigh(thread: u32, kv_head: u32) {
  let block = thread / BLOCK_THREADS;
  let index = 4u * (thread % BLOCK_THREADS);
  let first = 4u * thread;
  let visible = block_tokens[block];
  let a = select(vec4<f32>(LEAST), scores[first], index < visible);
  let b = select(vec4<f32>(LEAST), scores[first + 1u], index + 1u < visible);
  let c = select(vec4<f32>(LEAST), scores[first + 2u], index + 2u < visible);
  let d = select(vec4<f32>(LEAST), scores[first + 3u], index + 3u < visible);
  reduced[thread] = max(max(a, b), max(c, d));
  workgroupBarrier();
  let start = block * BLOCK_THREADS;
  var most = vec4<f32>(LEAST);
  for (var i = 0u; i < BLOCK_THREADS; i++) {
    most = max(most, reduced[start + i]);
  }
  let ea = select(vec4<f32>(0.0), exp(a - most), index < visible);
  let eb = select(vec4<f32>(0.0), exp(b - most), index + 1u < visible);
  let ec = select(vec4<f32>(0.0), exp(c - most), index + 2u < visible);
  let ed = select(vec4<f32>(0.0), exp(d - most), index + 3u < visible);
  workgroupBarrier();
  var s = vec4<f32>(1.0);
  var z = vec4<f32>(0.0);
  if (V_BITS != 16u && visible > 0u) {
    let tile = meta_word(block_page[block], kv_head, 1u);
    s = vec4<f32>(f32_at(tile)) + f32_at(tile + 1u) * vec4<f32>(unpack4xU8(arena_word(tile + 4u + index / 4u)));
    z = vec4<f32>(f32_at(tile + 2u)) + f32_at(tile + 3u) * vec4<f32>(unpack4xU8(arena_word(tile + 4u + (BLOCK + index) / 4u)));
    if (V_FINE) {
      z += 128.0 * s;
    }
  }
  let wa = ea * s.x;
  let wb = eb * s.y;
  let wc = ec * s.z;
  let wd = ed * s.w;
  reduced[thread] = max(max(wa, wb), max(wc, wd));
  reduced_sum[thread] = (ea + eb) + (ec + ed);
  reduced_zero[thread] = fma(ea, vec4<f32>(z.x), fma(eb, vec4<f32>(z.y), fma(ec, vec4<f32>(z.z), ed * z.w)));
  workgroupBarrier();
  var greatest = vec4<f32>(0.0);
  for (var i = 0u; i < BLOCK_THREADS; i++) {
    greatest = max(greatest, reduced[start + i]);
  }
  let range = select(255.0, 16383.0, V_FINE);
  if (V_BITS == 16u) {
    scores[first] = ea;
    scores[first + 1u] = eb;
    scores[first + 2u] = ec;
    scores[first + 3u] = ed;
  } else {
    let inverse = select(vec4<f32>(0.0), range / greatest, greatest > vec4<f32>(0.0));
    let ia = vec4<u32>(round(wa * inverse));
    let ib = vec4<u32>(round(wb * inverse));
    let ic = vec4<u32>(round(wc * inverse));
    let id = vec4<u32>(round(wd * inverse));
    let mask = vec4<u32>(select(255u, 127u, V_FINE));
    for (var part = 0u; part < V_PARTS; part++) {
      let shift = vec4<u32>(select(0u, 7u, V_FINE && part == 0u));
      let words = ((ia >> shift) & mask) | (((ib >> shift) & mask) << vec4<u32>(8u))
        | (((ic >> shift) & mask) << vec4<u32>(16u)) | (((id >> shift) & mask) << vec4<u32>(24u));
      for (var head = 0u; head < 4u; head++) {
        weights[((block * 4u + head) * V_PARTS + part) * 4u + index / 16u][(index / 4u) & 3u] = words[head];
      }
    }
    // What rounding loses in all is taken to weigh the middle code.
    let rest = ((wa + wb) + (wc + wd)) - vec4<f32>((ia + ib) + (ic + id)) * (greatest / range);
    reduced_zero[thread] += rest * MIDDLE_V;
  }
  workgroupBarrier();
  if (thread == start) {
    var sum = vec4<f32>(0.0);
    var zero = vec4<f32>(0.0);
    for (var i = 0u; i < BLOCK_THREADS; i++) {
      sum += reduced_sum[start + i];
      zero += reduced_zero[start + i];
    }
    block_most[block] = most;
    block_sum[block] = sum;
    block_zero[block] = zero;
    block_scale[block] = greatest / range;
  }
  workgroupBarrier();
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

/// Phase 4 for a channel of a sealed block: sums of weights times codes.
fn sealed_values(block: u32, channel: u32, kv_head: u32) -> vec4<f32> {
  const STRIDE = 4u * V_PARTS;
  let page = block_page[block];
  let high = high_word(page, kv_head, 1u) + channel * plane_row_words(high_width(V_BITS), BLOCK);
  let low = low_word(page, kv_head, 1u) + channel * plane_row_words(low_width(V_BITS), BLOCK);
  let a = row_codes(V_BITS, high, low, 0u, BLOCK);
  let b = row_codes(V_BITS, high, low, 1u, BLOCK);
  let first = block * 4u * STRIDE;
  var dots = vec4<i32>(dot64(a, b, first), dot64(a, b, first + STRIDE), dot64(a, b, first + 2u * STRIDE), dot64(a, b, first + 3u * STRIDE));
  if (V_FINE) {
    let fine = first + 4u;
    dots = dots * 128 + vec4<i32>(dot64(a, b, fine), dot64(a, b, fine + STRIDE), dot64(a, b, fine + 2u * STRIDE), dot64(a, b, fine + 3u * STRIDE));
  }
  return vec4<f32>(dots) * block_scale[block];
}

fn half_values(block: u32, channel: u32, kv_head: u32) -> vec4<f32> {
  let first = half_tile(block, kv_head, 1u) + channel / 2u;
  var sum = vec4<f32>(0.0);
  for (var token = 0u; token < block_tokens[block]; token++) {
    let pair = unpack2x16float(arena_word(first + token * HALF_WORDS));
    sum = fma(scores[block * BLOCK + token], vec4<f32>(select(pair.x, pair.y, (channel & 1u) == 1u)), sum);
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
  var state = State(vec4<f32>(LEAST), vec4<f32>(0.0));
  var values: array<vec4<f32>, CHANNELS>;
  for (var split = 0u; split < num_blocks; split += SPLIT) {
    let in_split = min(SPLIT, num_blocks - split);
    if (thread < SPLIT) {
      let block = BLOCKS + (first_block + min(split + thread, num_blocks - 1u)) * BLOCK_WORDS;
      let tokens = step[block + BLOCK_TOKENS];
      block_page[thread] = step[block + BLOCK_PAGE];
      page_tokens[thread] = tokens >> 16u;
      block_tokens[thread] = select(0u, tokens & 0xffffu, thread < in_split);
    }
    workgroupBarrier();
    if (K_BITS != 16u) {
      if (HEAD_DIM % 32u != 0u) {
        // Rows of codes end with zeros, which must not meet anything but numbers.
        for (var i = thread; i < SPLIT * 4u * K_PARTS; i += WORKGROUP) {
          queries[(i + 1u) * (DIM_GROUPS * 2u) - 1u] = vec4<u32>(0u);
        }
        workgroupBarrier();
      }
      for (var first = 0u; first < SPLIT * 4u; first += WORKGROUP / 4u) {
        let pair = first + thread / 4u;
        quantize_queries(pair, thread & 3u, thread, row, kv_head, heads[pair & 3u], pair / 4u < in_split);
      }
    }
    let lane = thread % LANES;
    for (var i = 0u; i < SPLIT * BLOCK / SLOTS; i++) {
      let token = i * SLOTS + thread / LANES;
      var score: vec4<f32>;
      if (K_BITS == 16u) {
        score = half_scores(token, lane, row, kv_head, heads);
      } else {
        score = sealed_scores(token, lane, kv_head);
      }
      if (lane == 0u) {
        scores[token] = score;
      }
    }
    workgroupBarrier();
    weigh(thread, kv_head);
    var most = vec4<f32>(LEAST);
    for (var block = 0u; block < in_split; block++) {
      most = max(most, block_most[block]);
    }
    let factors = factors_of(state.most, most);
    var sum = vec4<f32>(0.0);
    var zero = vec4<f32>(0.0);
    for (var block = 0u; block < in_split; block++) {
      let factor = exp(block_most[block] - most);
      sum = fma(block_sum[block], factor, sum);
      zero = fma(block_zero[block], factor, zero);
    }
    for (var i = 0u; i < CHANNELS; i++) {
      let channel = select(thread % HEAD_DIM, i * WORKGROUP + thread, SHARES == 1u);
      let share = select(thread / HEAD_DIM, 0u, SHARES == 1u);
      var value = vec4<f32>(0.0);
      if (channel < HEAD_DIM && share < SHARES) {
        for (var block = share; block < in_split; block += SHARES) {
          var of_block: vec4<f32>;
          if (V_BITS == 16u) {
            of_block = half_values(block, channel, kv_head);
          } else {
            of_block = sealed_values(block, channel, kv_head);
          }
          value = fma(of_block, exp(block_most[block] - most), value);
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
      values[i] = fma(values[i], factors.before, (value + zero) * factors.after);
    }
    state.sum = fma(state.sum, factors.before, sum * factors.after);
    state.most = factors.most;
    workgroupBarrier();
  }
  for (var head = 0u; head < 4u; head++) {
    if (first_head + head >= HEADS_PER_KV) {
      break;
    }
    let at = (part * NUM_HEADS + base_head + first_head + head) * PART_WORDS;
    for (var i = 0u; i < CHANNELS; i++) {
      let channel = i * WORKGROUP + thread;
      if (channel < HEAD_DIM) {
        parts[at + channel] = values[i][head];
      }
    }
    if (thread == 0u) {
      parts[at + HEAD_DIM] = state.most[head];
      parts[at + HEAD_DIM + 1u] = state.sum[head];
    }
  }
}
