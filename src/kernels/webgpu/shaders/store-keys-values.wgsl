// Rotates q and k by RoPE, transforms q, k and v, scales q, and stores k and v as f16 in the page of their row. A workgroup a head of q, of k
// or of v; a thread a channel.
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, HEAD_THREADS, ROPE_PAIRS: u32; const K_TRANSFORM, V_TRANSFORM: u32 (0 none, 1 Hadamard, 2 matrices)
// const FACTOR, QUERY_FACTOR: f32; with step.wgsl

struct Layer {
  header: vec4<u32>,
  high: vec4<u32>,
  low: vec4<u32>,
}

@group(0) @binding(1) var<storage, read_write> arena: array<u32>;
@group(0) @binding(2) var<storage, read_write> q: array<f32>;
@group(0) @binding(3) var<storage, read> k: array<f32>;
@group(0) @binding(4) var<storage, read> v: array<f32>;
@group(0) @binding(5) var<uniform> layer: Layer;
// Of each row ROPE_PAIRS cosines and sines.
@group(0) @binding(6) var<storage, read> rope: array<vec2<f32>>;
// Of this layer [3, NUM_KV_HEADS, HEAD_DIM, HEAD_DIM]: what q, k and v are multiplied by.
@group(0) @binding(7) var<storage, read> matrices: array<f32>;

var<workgroup> values: array<f32, HEAD_THREADS>;

fn rotated(thread: u32, row: u32) -> f32 {
  let own = values[thread];
  if (thread < ROPE_PAIRS) {
    let turn = rope[row * ROPE_PAIRS + thread];
    return own * turn.x - values[thread + ROPE_PAIRS] * turn.y;
  }
  if (thread < 2u * ROPE_PAIRS) {
    let turn = rope[row * ROPE_PAIRS + thread - ROPE_PAIRS];
    return own * turn.x + values[thread - ROPE_PAIRS] * turn.y;
  }
  return own;
}

/// To be called by all threads.
fn transform(kind: u32, thread: u32, matrix: u32) {
  if (kind == 1u) {
    for (var stride = 1u; stride < HEAD_DIM; stride <<= 1u) {
      let own = values[thread];
      let other = values[thread ^ stride];
      workgroupBarrier();
      values[thread] = select(own + other, other - own, (thread & stride) != 0u);
      workgroupBarrier();
    }
    values[thread] *= FACTOR;
  } else if (kind == 2u) {
    let first = (matrix * HEAD_DIM + min(thread, HEAD_DIM - 1u)) * HEAD_DIM;
    var product = 0.0;
    for (var c = 0u; c < HEAD_DIM; c++) {
      product = fma(matrices[first + c], values[c], product);
    }
    workgroupBarrier();
    values[thread] = product;
  }
  workgroupBarrier();
}

@compute @workgroup_size(HEAD_THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = step[ROW_LIST + first_of(FORMAT_ROWS) + workgroup.x];
  let head = workgroup.y;
  let is_query = head < NUM_HEADS;
  let is_key = !is_query && head < NUM_HEADS + NUM_KV_HEADS;
  let channel = min(thread, HEAD_DIM - 1u);
  let kv_head = select(select(head - NUM_HEADS - NUM_KV_HEADS, head - NUM_HEADS, is_key), head / (NUM_HEADS / NUM_KV_HEADS), is_query);
  let own = (row * NUM_KV_HEADS + kv_head) * HEAD_DIM + channel;
  let query = (row * NUM_HEADS + head) * HEAD_DIM + channel;
  if (is_query) {
    values[thread] = q[query];
  } else if (is_key) {
    values[thread] = k[own];
  } else {
    values[thread] = v[own];
  }
  workgroupBarrier();
  if (is_query || is_key) {
    let turned = rotated(thread, row);
    workgroupBarrier();
    values[thread] = turned;
    workgroupBarrier();
    transform(K_TRANSFORM, thread, select(NUM_KV_HEADS + kv_head, kv_head, is_query));
  } else {
    transform(V_TRANSFORM, thread, 2u * NUM_KV_HEADS + kv_head);
  }
  if (is_query) {
    if (thread < HEAD_DIM) {
      q[query] = values[thread] * QUERY_FACTOR;
    }
  } else if (thread < HEAD_DIM / 2u) {
    let at = ROWS + row * ROW_WORDS;
    let tokens = step[at + ROW_PAGE_TOKENS];
    let tile = ((layer.header.w * NUM_KV_HEADS + kv_head) * 2u + select(1u, 0u, is_key)) * tokens;
    let word = step[at + ROW_PAGE] + (tile + step[at + ROW_INDEX_IN_PAGE]) * (HEAD_DIM / 2u) + thread;
    let pair = clamp(vec2<f32>(values[2u * thread], values[2u * thread + 1u]), vec2<f32>(-65504.0), vec2<f32>(65504.0));
    arena[word] = pack2x16float(pair);
  }
}
