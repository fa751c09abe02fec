import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { roundTop, sparkLine } from './spark-line.ts';

describe('sparkLine', () => {
  it('draws the newest sample at the right, zero at the bottom, and the top at the top', () => {
    assert.equal(sparkLine([0, 50, 100], 5, 100, 40, 10).line, 'M20.0 10.0L30.0 5.0L40.0 0.0');
  });

  it('draws nothing of fewer than two samples', () => {
    assert.deepEqual(sparkLine([3], 5, 5, 40, 10), { line: '', area: '' });
  });
});

describe('roundTop', () => {
  it('is not below the largest sample, and not far above it', () => {
    assert.deepEqual([0, 0.7, 1, 3, 87, 120, 501].map(roundTop), [1, 0.8, 1, 3, 100, 150, 600]);
  });
});
