// Puts the parts of attention of a row and head together, in order, undoes the transform of V and writes the operand. A workgroup a head, a
// thread a channel.
//
// const HEAD_DIM, NUM_HEADS, NUM_KV_HEADS, HEAD_THREADS: u32; const TRANSFORM: u32 (0 none, 1 Hadamard, 2 matrices); const FACTOR: f32
// with step.wgsl (binding 3), operand.wgsl, softmax-state.wgsl

@group(0) @binding(4) var<storage, read> parts: array<f32>;
// Inverse transforms of V, of this layer: [NUM_KV_HEADS, HEAD_DIM, HEAD_DIM].
@group(0) @binding(5) var<storage, read> matrices: array<f32>;

const PART_WORDS = HEAD_DIM + 2u;
var<workgroup> values: array<f32, HEAD_THREADS>;

@compute @workgroup_size(HEAD_THREADS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = step[ROW_LIST + first_of(FORMAT_ROWS) + workgroup.x];
  let head = workgroup.y;
  let at = ROWS + row * ROW_WORDS;
  let first_part = step[at + ROW_FIRST_PART];
  let num_parts = step[at + ROW_NUM_PARTS];
  let channel = min(thread, HEAD_DIM - 1u);
  var most = LEAST;
  var sum = 0.0;
  var value = 0.0;
  for (var part = first_part; part < first_part + num_parts; part++) {
    let word = (part * NUM_HEADS + head) * PART_WORDS;
    let factors = factors_of(vec4<f32>(most), vec4<f32>(parts[word + HEAD_DIM]));
    value = fma(value, factors.before.x, parts[word + channel] * factors.after.x);
    sum = fma(sum, factors.before.x, parts[word + HEAD_DIM + 1u] * factors.after.x);
    most = factors.most.x;
  }
  values[thread] = value / sum;
  workgroupBarrier();
  if (TRANSFORM == 1u) {
    for (var stride = 1u; stride < HEAD_DIM; stride <<= 1u) {
      let own = values[thread];
      let other = values[thread ^ stride];
      workgroupBarrier();
      values[thread] = select(own + other, other - own, (thread & stride) != 0u);
      workgroupBarrier();
    }
    values[thread] *= FACTOR;
  }
  if (TRANSFORM == 2u) {
    let matrix = ((head / (NUM_HEADS / NUM_KV_HEADS)) * HEAD_DIM + channel) * HEAD_DIM;
    var product = 0.0;
    for (var c = 0u; c < HEAD_DIM; c++) {
      product = fma(matrices[matrix + c], values[c], product);
    }
    workgroupBarrier();
    values[thread] = product;
  }
  workgroupBarrier();
  if (thread < HEAD_DIM / 16u) {
    let first = 16u * thread;
    store_group(
      row, head * (HEAD_DIM / 16u) + thread,
      vec4<f32>(values[first], values[first + 1u], values[first + 2u], values[first + 3u]),
      vec4<f32>(values[first + 4u], values[first + 5u], values[first + 6u], values[first + 7u]),
      vec4<f32>(values[first + 8u], values[first + 9u], values[first + 10u], values[first + 11u]),
      vec4<f32>(values[first + 12u], values[first + 13u], values[first + 14u], values[first + 15u]),
    );
  }
}
