import type { RowOrder } from './kernels.ts';

/**
 * Where a row of the file goes. `interleaved-rope` takes the rotary pairs (2i, 2i + 1) of each head to (i, i + ropeDim
 * / 2); rows of a head from ropeDim on stay.
 */
export function destinationRow(order: RowOrder, row: number): number {
  if (order.kind === 'file') return row;
  const inHead = row % order.headDim;
  if (inHead >= order.ropeDim) return row;
  const half = order.ropeDim / 2;
  return row - inHead + (inHead % 2) * half + Math.floor(inHead / 2);
}

/** @throws RangeError if `numRows` rows are not whole heads, or the rotary channels are not pairs within a head */
export function checkRowOrder(order: RowOrder, numRows: number): void {
  if (order.kind === 'file') return;
  const { headDim, ropeDim } = order;
  if (numRows % headDim !== 0) throw new RangeError(`${numRows} rows are not whole heads of ${headDim}`);
  if (ropeDim % 2 !== 0 || ropeDim > headDim) {
    throw new RangeError(`${ropeDim} rotary channels are not pairs within a head of ${headDim}`);
  }
}
