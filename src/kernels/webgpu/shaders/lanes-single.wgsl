// What a thread has from another one of its 32, for adapters without subgroups: by workgroup memory. To be called by all threads. With lanes-memory.wgsl.

/// The value of thread ^ mask.
fn from_other(thread: u32, value: u32, mask: u32) -> u32 {
  return pair_by_memory(thread, vec2<u32>(value, 0u), mask).x;
}

fn pair_from_other(thread: u32, value: vec2<u32>, mask: u32) -> vec2<u32> {
  return pair_by_memory(thread, value, mask);
}
