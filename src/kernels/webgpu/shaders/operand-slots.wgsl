// Where an operand has the int8 codes of 16 columns of a row, the index-th of GROUPS * 2, and their scale. Of up to 32 rows they lie as threads want them that
// share a row: slots.wgsl, all groups' first halves before all second ones. Of more, the same columns of TILE rows lie side by side, since neighbouring threads
// of matmul-prefill.wgsl bring rows: by the other order an H200 took a fifth longer for its products.
//
// const TILED: bool; with slots.wgsl

const TILE = 64u;

fn codes_slot(row: u32, index: u32, num_groups: u32) -> u32 {
  if (TILED) {
    return (row / TILE * 2u * num_groups + index) * TILE + row % TILE;
  }
  return (2u * row + index % 2u) * num_groups + slot_of(index / 2u, num_groups);
}

/// Beside that of the other half of a group.
fn scale_slot(row: u32, index: u32, num_groups: u32) -> u32 {
  if (TILED) {
    return 2u * ((row / TILE * num_groups + index / 2u) * TILE + row % TILE) + index % 2u;
  }
  return 2u * (row * num_groups + slot_of(index / 2u, num_groups)) + index % 2u;
}
