// Puts the parts of attention of a row and head together, undoes the transform of V and writes the operand. A workgroup a head; a thread every SHARES-th
// part of 4 channels, so that enough loads are on their way.
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, THREADS: u32; const TRANSFORM: u32 (0 none, 1 Hadamard, 2 matrices); const FACTOR: f32
// with step.wgsl (binding 3), operand.wgsl

// As attend.wgsl leaves them.
@group(0) @binding(4) var<storage, read> parts: array<vec4<f32>>;
// Inverse transforms of V, of this layer: [NUM_KV_HEADS, HEAD_DIM, HEAD_DIM].
@group(0) @binding(5) var<storage, read> matrices: array<f32>;

const QUADS = HEAD_DIM / 4u;
const PART_VECTORS = QUADS + 1u;
const SHARES = THREADS / QUADS;
const AT_ONCE = 8u;
/// Threads' numbers are put together in two turns, the second one of so many.
const SIDE = 16u;
const EACH = THREADS / SIDE;
/// Below every score; infinity would make differences of it.
const LEAST = -1e30;
var<workgroup> quads: array<vec4<f32>, THREADS>;
var<workgroup> values: array<f32, HEAD_DIM>;
var<workgroup> factors: array<f32, THREADS>;
var<workgroup> halfway: array<f32, SIDE>;

/// A vector of a part: its channels by fours, then its state.
fn part_vector(part: u32, head: u32, index: u32) -> vec4<f32> {
  return parts[(part * NUM_HEADS + head) * PART_VECTORS + index];
}

/// The greatest of a number of each thread, for all. To be called by all threads.
fn greatest_of(thread: u32, number: f32) -> f32 {
  factors[thread] = number;
  workgroupBarrier();
  if (thread < SIDE) {
    var greatest = factors[thread * EACH];
    for (var i = 1u; i < EACH; i++) {
      greatest = max(greatest, factors[thread * EACH + i]);
    }
    halfway[thread] = greatest;
  }
  workgroupBarrier();
  var greatest = halfway[0];
  for (var i = 1u; i < SIDE; i++) {
    greatest = max(greatest, halfway[i]);
  }
  workgroupBarrier();
  return greatest;
}

/// The sum. To be called by all threads.
fn sum_over(thread: u32, number: f32) -> f32 {
  factors[thread] = number;
  workgroupBarrier();
  if (thread < SIDE) {
    var sum = 0.0;
    for (var i = 0u; i < EACH; i++) {
      sum += factors[thread * EACH + i];
    }
    halfway[thread] = sum;
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < SIDE; i++) {
    sum += halfway[i];
  }
  return sum;
}

/// Sums and differences of `count` values, up to 16, from the first one on, so far apart.
fn hadamard(first: u32, apart: u32, count: u32, factor: f32) {
  var own = array<f32, 16>();
  for (var i = 0u; i < 16u; i++) {
    own[i] = values[first + min(i, count - 1u) * apart];
  }
  for (var stride = 1u; stride < 16u; stride <<= 1u) {
    if (stride < count) {
      for (var i = 0u; i < 16u; i++) {
        if ((i & stride) == 0u) {
          let sum = own[i] + own[i + stride];
          own[i + stride] = own[i] - own[i + stride];
          own[i] = sum;
        }
      }
    }
  }
  for (var i = 0u; i < 16u; i++) {
    if (i < count) {
      values[first + i * apart] = own[i] * factor;
    }
  }
}

/// To be called by all threads.
fn transform(thread: u32, head: u32) {
  if (TRANSFORM == 1u) {
    // Within 16 neighbours, then across them: a barrier for each stride would take longer than the sums.
    if (thread < HEAD_DIM / 16u) {
      hadamard(16u * thread, 1u, 16u, 1.0);
    }
    workgroupBarrier();
    if (thread < 16u) {
      hadamard(thread, 16u, HEAD_DIM / 16u, FACTOR);
    }
  }
  if (TRANSFORM == 2u) {
    let first = ((head / (NUM_HEADS / NUM_KV_HEADS)) * HEAD_DIM + min(thread, HEAD_DIM - 1u)) * HEAD_DIM;
    var product = 0.0;
    for (var c = 0u; c < HEAD_DIM; c++) {
      product = fma(matrices[first + c], values[c], product);
    }
    workgroupBarrier();
    if (thread < HEAD_DIM) {
      values[thread] = product;
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = step[ROW_LIST + first_of(FORMAT_ROWS) + workgroup.x];
  let head = workgroup.y;
  let at = ROWS + row * ROW_WORDS;
  let first_part = step[at + ROW_FIRST_PART];
  let num_parts = step[at + ROW_NUM_PARTS];
  var most = LEAST;
  for (var part = thread; part < num_parts; part += THREADS) {
    most = max(most, part_vector(first_part + part, head, QUADS).x);
  }
  most = greatest_of(thread, most);
  let quad = thread % QUADS;
  let share = thread / QUADS;
  var sum = 0.0;
  var value = vec4<f32>(0.0);
  for (var first = 0u; first < num_parts; first += THREADS) {
    let count = min(THREADS, num_parts - first);
    factors[thread] = 0.0;
    if (thread < count) {
      let state = part_vector(first_part + first + thread, head, QUADS);
      let factor = exp(state.x - most);
      factors[thread] = factor;
      sum = fma(factor, state.y, sum);
    }
    workgroupBarrier();
    for (var part = share; part < count && share < SHARES; part += SHARES * AT_ONCE) {
      var loaded = array<vec4<f32>, AT_ONCE>();
      for (var i = 0u; i < AT_ONCE; i++) {
        if (part + i * SHARES < count) {
          loaded[i] = part_vector(first_part + first + part + i * SHARES, head, quad);
        }
      }
      for (var i = 0u; i < AT_ONCE; i++) {
        if (part + i * SHARES < count) {
          value = fma(vec4<f32>(factors[part + i * SHARES]), loaded[i], value);
        }
      }
    }
    workgroupBarrier();
  }
  quads[thread] = value;
  let divisor = sum_over(thread, sum);
  if (thread < QUADS) {
    var total = vec4<f32>(0.0);
    for (var other = 0u; other < SHARES; other++) {
      total += quads[other * QUADS + thread];
    }
    total /= divisor;
    values[4u * thread] = total.x;
    values[4u * thread + 1u] = total.y;
    values[4u * thread + 2u] = total.z;
    values[4u * thread + 3u] = total.w;
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
