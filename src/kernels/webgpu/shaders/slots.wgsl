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

/// Where a row of an operand has the codes of 16 columns, the index-th: those of all groups' first halves, then of all second ones.
fn codes_slot(index: u32, num_groups: u32) -> u32 {
  return (index % 2u) * num_groups + slot_of(index / 2u, num_groups);
}

/// Where it has their scale, beside that of the other half.
fn scale_slot(index: u32, num_groups: u32) -> u32 {
  return 2u * slot_of(index / 2u, num_groups) + index % 2u;
}
