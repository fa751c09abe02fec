// What a thread has from another one of its 32, for adapters without subgroups: by workgroup memory. To be called by all threads.

var<workgroup> exchanged: array<vec2<u32>, THREADS>;

/// The value of thread ^ mask.
fn from_other(thread: u32, value: u32, mask: u32) -> u32 {
  return pair_from_other(thread, vec2<u32>(value, 0u), mask).x;
}

fn pair_from_other(thread: u32, value: vec2<u32>, mask: u32) -> vec2<u32> {
  exchanged[thread] = value;
  workgroupBarrier();
  let other = exchanged[thread ^ mask];
  workgroupBarrier();
  return other;
}
