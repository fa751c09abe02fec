// What a thread has from another one of its 32: by subgroups as far as they reach, beyond by workgroup memory. To be called by all threads.
//
// const SUBGROUP: u32, threads that a subgroup has at least

var<workgroup> exchanged: array<vec2<u32>, select(THREADS, 1u, SUBGROUP >= THREADS)>;

/// The value of thread ^ mask.
fn from_other(thread: u32, value: u32, mask: u32) -> u32 {
  if (mask < SUBGROUP) {
    return subgroupShuffleXor(value, mask);
  }
  return pair_by_memory(thread, vec2<u32>(value, 0u), mask).x;
}

fn pair_from_other(thread: u32, value: vec2<u32>, mask: u32) -> vec2<u32> {
  if (mask < SUBGROUP) {
    return subgroupShuffleXor(value, mask);
  }
  return pair_by_memory(thread, value, mask);
}

fn pair_by_memory(thread: u32, value: vec2<u32>, mask: u32) -> vec2<u32> {
  exchanged[thread] = value;
  workgroupBarrier();
  let other = exchanged[thread ^ mask];
  workgroupBarrier();
  return other;
}
