// Where groups of 32 columns lie in a row of codes and scales. Threads that share a row's product take a segment of 8 groups each: what they read at
// the same time, the same group of every segment, lies side by side. Rows that are not whole segments are in order (column-order.ts).

/// Groups of a segment.
const SEGMENT = 8u;

fn slot_of(group: u32, num_groups: u32) -> u32 {
  if (num_groups % SEGMENT != 0u) {
    return group;
  }
  return (group % SEGMENT) * (num_groups / SEGMENT) + group / SEGMENT;
}
