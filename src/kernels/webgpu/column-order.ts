/** Groups of 32 columns that a thread sums up in one go: SEGMENT of shaders/slots.wgsl. */
export const SEGMENT_GROUPS = 8;

/** Puts the groups of rows in the order of shaders/slots.wgsl, in place. @param groupBytes of a group; 0: nothing happens */
export function orderGroups(rows: Uint8Array, numRows: number, numGroups: number, groupBytes: number): void {
  if (groupBytes === 0 || numGroups % SEGMENT_GROUPS !== 0) return;
  const numSegments = numGroups / SEGMENT_GROUPS;
  const rowBytes = numGroups * groupBytes;
  const inOrder = new Uint8Array(rowBytes);
  for (let row = 0; row < numRows; row++) {
    const start = row * rowBytes;
    inOrder.set(rows.subarray(start, start + rowBytes));
    for (let group = 0; group < numGroups; group++) {
      const slot = (group % SEGMENT_GROUPS) * numSegments + Math.floor(group / SEGMENT_GROUPS);
      const to = start + slot * groupBytes;
      for (let i = 0; i < groupBytes; i++) rows[to + i] = inOrder[group * groupBytes + i];
    }
  }
}
