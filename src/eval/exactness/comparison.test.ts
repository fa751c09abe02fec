import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bitsOf, Comparison, type Expected } from './comparison.ts';

function expected(rows: readonly (readonly number[])[], tokenIds: readonly number[] = []): Expected {
  return { rowAt: (position) => rows[position] && bitsOf(Float32Array.from(rows[position])), tokenIds };
}

const ROWS = expected([
  [1, 2, 3],
  [0, Number.NaN, -1],
]);

describe('Comparison', () => {
  it('counts rows and tokens whose bits are equal, NaN among them', () => {
    const comparison = new Comparison();
    comparison.compareRow(0, Float32Array.of(1, 2, 3), ROWS, 'run');
    comparison.compareRow(1, Float32Array.of(0, Number.NaN, -1), ROWS, 'run');
    comparison.compareTokens([4, 5], 2, expected([], [4, 5]), 'run');
    const { numRows, numTokens, firstDifference } = comparison;
    assert.deepEqual({ numRows, numTokens, firstDifference }, { numRows: 2, numTokens: 2, firstDifference: undefined });
  });

  it('reads a row where it lies in a larger memory', () => {
    const comparison = new Comparison();
    comparison.compareRow(0, Float32Array.of(9, 1, 2, 3, 9).subarray(1, 4), ROWS, 'run');
    assert.equal(comparison.firstDifference, undefined);
  });

  it('sees one bit, and a zero of the other sign, which === of numbers does not', () => {
    const bit = new Comparison();
    const row = Float32Array.of(1, 2, 3);
    bitsOf(row)[2] ^= 1;
    bit.compareRow(0, row, ROWS, 'run');
    const what = { what: 'logits', position: 0, run: 'run', detail: '1 of 3 logits' };
    assert.deepEqual(bit.firstDifference, what);
    const sign = new Comparison();
    sign.compareRow(1, Float32Array.of(-0, Number.NaN, -1), ROWS, 'run');
    assert.deepEqual(sign.firstDifference, { ...what, position: 1 });
  });

  it('keeps the earliest position, whichever run it was', () => {
    const comparison = new Comparison();
    comparison.compareTokens([1, 2, 3], 7, expected([], [1, 2, 4]), 'late');
    comparison.compareRow(1, Float32Array.of(5, 5, 5), ROWS, 'early');
    comparison.compareTokens([9], 3, expected([], [8]), 'later');
    assert.deepEqual(comparison.firstDifference, {
      ...{ what: 'logits', position: 1, run: 'early', detail: '3 of 3 logits' },
    });
  });

  it('takes an answer of another length and a row that the baseline has not for different', () => {
    const short = new Comparison();
    short.compareTokens([1], 10, expected([], [1, 2]), 'run');
    const detail = 'token none in place of 2';
    assert.deepEqual(short.firstDifference, { what: 'token', position: 11, run: 'run', detail });
    assert.equal(short.numTokens, 2);
    const long = new Comparison();
    long.compareRow(2, Float32Array.of(1), ROWS, 'run');
    assert.equal(long.firstDifference?.detail, 'the baseline ends before');
  });
});
