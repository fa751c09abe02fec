// Puts the parts of attention of a row and head together, undoes the transform of V and writes the operand. A workgroup a head; SHARES threads a
// channel, each for every SHARES-th part.
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, HEAD_THREADS, SHARES: u32; const TRANSFORM: u32 (0 none, 1 Hadamard, 2 matrices); const FACTOR: f32
// with step.wgsl (binding 3), operand.wgsl

@group(0) @binding(4) var<storage, read> parts: array<f32>;
// Inverse transforms of V, of this layer: [NUM_KV_HEADS, HEAD_DIM, HEAD_DIM].
@group(0) @binding(5) var<storage, read> matrices: array<f32>;

const PART_WORDS = HEAD_DIM + 2u;
const WORKGROUP = HEAD_THREADS * SHARES;
const AT_ONCE = 8u;
/// Below every score; infinity would make differences of it.
const LEAST = -1e30;
var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> factors: array<f32, WORKGROUP>;
var<workgroup> sums: array<f32, WORKGROUP>;

fn part_word(part: u32, head: u32) -> u32 {
  return (part * NUM_HEADS + head) * PART_WORDS;
}

/// The greatest of a number of each thread, for all. To be called by all threads.
fn greatest_of(thread: u32, number: f32) -> f32 {
  factors[thread] = number;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    if (thread < half) {
      factors[thread] = max(factors[thread], factors[thread + half]);
    }
    workgroupBarrier();
  }
  let greatest = factors[0];
  workgroupBarrier();
  return greatest;
}

/// To be called by all threads.
fn transform(thread: u32, head: u32) {
  let channel = thread % HEAD_THREADS;
  if (TRANSFORM == 1u) {
    for (var stride = 1u; stride < HEAD_DIM; stride <<= 1u) {
      let own = values[channel];
      let other = values[channel ^ stride];
      workgroupBarrier();
      if (thread < HEAD_THREADS) {
        values[channel] = select(own + other, other - own, (channel & stride) != 0u);
      }
      workgroupBarrier();
    }
    if (thread < HEAD_THREADS) {
      values[channel] *= FACTOR;
    }
  }
  if (TRANSFORM == 2u) {
    let first = ((head / (NUM_HEADS / NUM_KV_HEADS)) * HEAD_DIM + min(channel, HEAD_DIM - 1u)) * HEAD_DIM;
    var product = 0.0;
    for (var c = 0u; c < HEAD_DIM; c++) {
      product = fma(matrices[first + c], values[c], product);
    }
    workgroupBarrier();
    if (thread < HEAD_THREADS) {
      values[channel] = product;
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = step[ROW_LIST + first_of(FORMAT_ROWS) + workgroup.x];
  let head = workgroup.y;
  let at = ROWS + row * ROW_WORDS;
  let first_part = step[at + ROW_FIRST_PART];
  let num_parts = step[at + ROW_NUM_PARTS];
  var most = LEAST;
  for (var part = thread; part < num_parts; part += WORKGROUP) {
    most = max(most, parts[part_word(first_part + part, head) + HEAD_DIM]);
  }
  most = greatest_of(thread, most);
  let channel = min(thread % HEAD_THREADS, HEAD_DIM - 1u);
  let share = thread / HEAD_THREADS;
  var sum = 0.0;
  var value = 0.0;
  for (var first = 0u; first < num_parts; first += WORKGROUP) {
    let word = part_word(first_part + min(first + thread, num_parts - 1u), head) + HEAD_DIM;
    let factor = select(0.0, exp(parts[word] - most), first + thread < num_parts);
    factors[thread] = factor;
    sum = fma(factor, parts[word + 1u], sum);
    workgroupBarrier();
    // Those that are not there have a factor of 0; several at a time, so that their loads are on their way together.
    let count = min(WORKGROUP, num_parts - first);
    for (var part = share; part < count; part += SHARES * AT_ONCE) {
      var loaded: array<f32, AT_ONCE>;
      for (var i = 0u; i < AT_ONCE; i++) {
        loaded[i] = parts[part_word(first_part + first + min(part + i * SHARES, count - 1u), head) + channel];
      }
      for (var i = 0u; i < AT_ONCE; i++) {
        value = fma(select(0.0, factors[min(part + i * SHARES, WORKGROUP - 1u)], part + i * SHARES < count), loaded[i], value);
      }
    }
    workgroupBarrier();
  }
  sums[thread] = sum;
  values[thread] = value;
  workgroupBarrier();
  for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
    if (thread < half) {
      sums[thread] += sums[thread + half];
    }
    workgroupBarrier();
  }
  if (thread < HEAD_THREADS) {
    var total = 0.0;
    for (var other = 0u; other < SHARES; other++) {
      total += values[other * HEAD_THREADS + thread];
    }
    values[thread] = total / sums[0];
  }
  workgroupBarrier();
  transform(thread, head);
  if (thread < HEAD_DIM / 16u) {
    let c = 16u * thread;
    let group = Group(
      vec4<f32>(values[c], values[c + 1u], values[c + 2u], values[c + 3u]),
      vec4<f32>(values[c + 4u], values[c + 5u], values[c + 6u], values[c + 7u]),
      vec4<f32>(values[c + 8u], values[c + 9u], values[c + 10u], values[c + 11u]),
      vec4<f32>(values[c + 12u], values[c + 13u], values[c + 14u], values[c + 15u]),
    );
    store_group(row, head * (HEAD_DIM / 16u) + thread, group);
  }
}
