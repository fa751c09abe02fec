import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRowOrder, destinationRow } from './row-order.ts';

test('rotary pairs (2i, 2i + 1) go to (i, i + ropeDim / 2) of their head, other rows stay', () => {
  const order = { kind: 'interleaved-rope', headDim: 6, ropeDim: 4 } as const;
  const rows = Array.from({ length: 12 }, (_, row) => destinationRow(order, row));
  assert.deepEqual(rows, [0, 2, 1, 3, 4, 5, 6, 8, 7, 9, 10, 11]);
});

test('row orders that do not fit are refused', () => {
  const order = { kind: 'interleaved-rope', headDim: 6, ropeDim: 4 } as const;
  assert.throws(() => checkRowOrder(order, 13), /13 rows are not whole heads of 6/);
  assert.throws(
    () => checkRowOrder({ ...order, ropeDim: 8 }, 12),
    /8 rotary channels are not pairs within a head of 6/,
  );
  assert.throws(() => checkRowOrder({ ...order, ropeDim: 3 }, 12), /3 rotary channels/);
});
