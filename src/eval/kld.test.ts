import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agreesOnTop1, summarize } from './kld.ts';

describe('agreesOnTop1', () => {
  it('compares the likeliest token only', () => {
    assert.equal(agreesOnTop1([-1, -0.5, -3], [-2, -1, -1.5]), true);
    assert.equal(agreesOnTop1([-1, -0.5, -3], [-0.5, -0.6, -3]), false);
  });

  it('takes the lowest id of equally likely ones', () => {
    assert.equal(agreesOnTop1([-1, -1, -2], [-0.5, -1, -2]), true);
    assert.equal(agreesOnTop1([-1, -1, -2], [-1, -0.5, -2]), false);
  });

  it('refuses rows of different or no length', () => {
    const message = 'cannot compare rows of 2 and 3 log-probabilities: both must cover the same vocabulary';
    assert.throws(() => agreesOnTop1([0, 0], [0, 0, 0]), { name: 'RangeError', message });
    assert.throws(() => agreesOnTop1([], []), RangeError);
  });
});

describe('summarize', () => {
  it('agrees with values computed by hand, in any order, and leaves the input alone', () => {
    const divergences = [4, 1, 3, 2];
    const { mean, median, percentile999, max } = summarize(divergences);
    assert.deepEqual({ mean, median, max }, { mean: 2.5, median: 2.5, max: 4 });
    // Rank 2.997 of 0 to 3: .003 of the third value and .997 of the fourth.
    assert.ok(Math.abs(percentile999 - 3.997) < 1e-12);
    assert.deepEqual(divergences, [4, 1, 3, 2]);
  });

  it('sorts by value, not by text', () => {
    assert.equal(summarize([10, 9, 100]).median, 10);
  });

  it('of one value is that value, also if it is infinite', () => {
    assert.deepEqual(summarize([7]), { mean: 7, median: 7, percentile999: 7, max: 7 });
    assert.equal(summarize([Infinity]).percentile999, Infinity);
  });

  it('refuses no values', () => {
    assert.throws(() => summarize([]), { name: 'RangeError', message: 'no divergences to summarize' });
  });
});
