/** Groups of 32 columns that a thread sums up in one go: SEGMENT of shaders/slots.wgsl. */
export const SEGMENT_GROUPS = 8;

/** Of each group of a row, where among them it is stored, as shaders/slots.wgsl has it. */
export function slotsOf(numGroups: number): Uint32Array {
  const isWhole = numGroups % SEGMENT_GROUPS === 0;
  const numSegments = numGroups / SEGMENT_GROUPS;
  return Uint32Array.from({ length: numGroups }, (_, group) =>
    isWhole ? (group % SEGMENT_GROUPS) * numSegments + Math.floor(group / SEGMENT_GROUPS) : group,
  );
}
