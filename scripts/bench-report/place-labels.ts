/**
 * Moves labels down as far as needed so that none covers another, then up again from below where that went too far: each ends near where
 * it was wanted.
 *
 * @param wanted pixels from the top
 * @returns where each is to be, in the order given
 */
export function placeLabels(wanted: readonly number[], height: number): number[] {
  const order = [...wanted.keys()].sort((a, b) => wanted[a] - wanted[b]);
  const placed = [...wanted];
  order.forEach((label, rank) => {
    if (rank > 0) placed[label] = Math.max(wanted[label], placed[order[rank - 1]] + height);
  });
  // Each group was moved down only: half of that back keeps it where it belongs.
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && placed[order[end]] - placed[order[end - 1]] <= height) end++;
    const group = order.slice(first, end);
    const moved = group.reduce((sum, label) => sum + placed[label] - wanted[label], 0) / group.length;
    for (const label of group) placed[label] -= moved;
    first = end;
  }
  return placed;
}
