// Attention of up to 4 query heads of a row to up to 16 tokens of a sink page or an open one, and what both kinds of units leave. Part of attend.wgsl,
// whose units take longer: this is short of registers rather than fast, since a workgroup has as many as the part that needs more.

/// Products of a token in f16, whose row starts at word `first`, with 4 heads' queries: every second octet of channels.
fn half_dots(first: u32, lane: u32, row: u32, base_head: u32, first_head: u32) -> vec4<f32> {
  let heads = vec4<u32>(row * NUM_HEADS + base_head) + min(vec4<u32>(first_head) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(HEADS_PER_KV - 1u));
  let at = heads * (HEAD_DIM / 4u);
  var sums = vec4<f32>(0.0);
  for (var octet = lane; octet < HEAD_DIM / 8u; octet += 2u) {
    let halves = arena[(first >> 2u) + octet];
    let k = vec4<f32>(unpack2x16float(halves.x), unpack2x16float(halves.y));
    let l = vec4<f32>(unpack2x16float(halves.z), unpack2x16float(halves.w));
    let quad = at + vec4<u32>(2u * octet);
    sums += vec4<f32>(dot(q[quad.x], k), dot(q[quad.y], k), dot(q[quad.z], k), dot(q[quad.w], k));
    sums += vec4<f32>(dot(q[quad.x + 1u], l), dot(q[quad.y + 1u], l), dot(q[quad.z + 1u], l), dot(q[quad.w + 1u], l));
  }
  return sums;
}

fn store_state(part: u32, base_head: u32, head: u32, most: f32, sum: f32) {
  if (head < HEADS_PER_KV) {
    let at = (part * NUM_HEADS + base_head + head) * PART_WORDS + HEAD_DIM;
    parts[at] = most;
    parts[at + 1u] = sum;
  }
}

fn store_values(part: u32, base_head: u32, first_head: u32, channel: u32, value: vec4<f32>) {
  for (var h = 0u; h < 4u; h++) {
    if (first_head + h < HEADS_PER_KV && channel < HEAD_DIM) {
      parts[(part * NUM_HEADS + base_head + first_head + h) * PART_WORDS + channel] = value[h];
    }
  }
}

/// Two threads a token.
fn attend_open(thread: u32, row: u32, block: u32, part: u32, kv_head: u32, first_head: u32) {
  let word = BLOCKS + block * BLOCK_WORDS;
  let tokens = step[word + BLOCK_TOKENS];
  let visible = tokens & 0xffu;
  // Such pages are laid out by their number of tokens.
  let tile_words = (tokens >> 16u) * HALF_WORDS;
  let page = step[word + BLOCK_PAGE] + ((tokens >> 8u) & 0xffu) * HALF_WORDS;
  let keys = page + (layer.header.w * NUM_KV_HEADS + kv_head) * 2u * tile_words;
  let values = keys + tile_words;
  let base_head = kv_head * HEADS_PER_KV;
  let lane = thread & 1u;
  let slot = thread >> 1u;
  // Beyond the page lies what is no number of this tile.
  var scores = share_floats(thread, half_dots(keys + min(slot, visible - 1u) * HALF_WORDS, lane, row, base_head, first_head));
  scores = select(vec2<f32>(LEAST), scores, slot < visible);
  let most = vec2<f32>(greatest_of(thread, scores.x, 2u, THREADS), greatest_of(thread, scores.y, 2u, THREADS));
  let weight = exp(scores - most);
  weights[thread] = bitcast<vec2<u32>>(weight);
  let sum = vec2<f32>(sum_of(thread, weight.x, 2u, THREADS), sum_of(thread, weight.y, 2u, THREADS));
  if (slot == 0u) {
    store_state(part, base_head, first_head + 2u * lane, most.x, sum.x);
    store_state(part, base_head, first_head + 2u * lane + 1u, most.y, sum.y);
  }
  workgroupBarrier();
  for (var pair = thread; pair < HALF_WORDS; pair += THREADS) {
    var even = vec4<f32>(0.0);
    var odd = vec4<f32>(0.0);
    for (var token = 0u; token < visible; token++) {
      let value = unpack2x16float(arena_words[values + token * HALF_WORDS + pair]);
      let of_heads = bitcast<vec4<f32>>(vec4<u32>(weights[2u * token], weights[2u * token + 1u]));
      even = fma(of_heads, vec4<f32>(value.x), even);
      odd = fma(of_heads, vec4<f32>(value.y), odd);
    }
    store_values(part, base_head, first_head, 2u * pair, even);
    store_values(part, base_head, first_head, 2u * pair + 1u, odd);
  }
}
