// What a thread has from another one of its 32 by workgroup memory. Part of lanes-*.wgsl.
//
// const SUBGROUP: u32, threads that a subgroup has at least; 1 without subgroups

var<workgroup> exchanged: array<vec2<u32>, select(THREADS, 1u, SUBGROUP >= THREADS)>;

/// The value of thread ^ mask. To be called by all threads.
fn pair_by_memory(thread: u32, value: vec2<u32>, mask: u32) -> vec2<u32> {
  exchanged[thread] = value;
  workgroupBarrier();
  let other = exchanged[thread ^ mask];
  workgroupBarrier();
  return other;
}
