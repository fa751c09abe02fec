import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agreesOnTop1, klDivergence, summarize } from './kld.ts';

const logsOf = (probabilities: readonly number[]): number[] => probabilities.map(Math.log);

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-15, `${actual}, expected ${expected}`);
}

describe('klDivergence', () => {
  it('agrees with values computed by hand (error < 1e-15)', () => {
    // 1/2 ln(1/2 / 1/4) + 1/2 ln(1/2 / 3/4) = ln 2 - 1/2 ln 3
    near(klDivergence(logsOf([0.5, 0.5]), logsOf([0.25, 0.75])), Math.LN2 - Math.log(3) / 2);
    // 1/4 ln(1/4 / 1/2) + 3/4 ln(3/4 / 1/2) = 3/4 ln 3 - ln 2: the direction matters
    near(klDivergence(logsOf([0.25, 0.75]), logsOf([0.5, 0.5])), 0.75 * Math.log(3) - Math.LN2);
    // 1/2 ln(2) + 1/4 ln(1) + 1/4 ln(1/2) = 1/4 ln 2
    near(klDivergence(logsOf([0.5, 0.25, 0.25]), logsOf([0.25, 0.25, 0.5])), Math.LN2 / 4);
  });

  it('is 0 for equal rows', () => {
    const row = logsOf([0.1, 0.2, 0.3, 0.4]);
    assert.equal(klDivergence(row, row), 0);
  });

  it('adds nothing for a token of probability 0, whatever the candidate says of it', () => {
    near(klDivergence(logsOf([0, 1]), logsOf([0.5, 0.5])), Math.LN2);
    assert.equal(klDivergence(logsOf([0, 1]), logsOf([0, 1])), 0);
  });

  it('is infinite where the candidate rules out what the reference does not', () => {
    assert.equal(klDivergence(logsOf([0.5, 0.5]), logsOf([0, 1])), Infinity);
  });

  it('is computed in float64 though the candidate is float32', () => {
    const reference = logsOf([0.3, 0.7]);
    const candidate = Float32Array.from(reference);
    const expected = 0.3 * (reference[0] - candidate[0]) + 0.7 * (reference[1] - candidate[1]);
    assert.ok(expected !== 0);
    near(klDivergence(reference, candidate), expected);
  });

  it('hands a NaN on', () => {
    assert.ok(Number.isNaN(klDivergence([Number.NaN, 0], [0, 0])));
    assert.ok(Number.isNaN(klDivergence([0, -1], [Number.NaN, 0])));
  });

  it('refuses rows of different or no length', () => {
    const message = 'cannot compare rows of 2 and 3 log-probabilities: both must cover the same vocabulary';
    assert.throws(() => klDivergence([0, 0], [0, 0, 0]), { name: 'RangeError', message });
    assert.throws(() => klDivergence([], []), RangeError);
    assert.throws(() => agreesOnTop1([0, 0], [0, 0, 0]), { name: 'RangeError', message });
  });
});

describe('agreesOnTop1', () => {
  it('compares the likeliest token only', () => {
    assert.equal(agreesOnTop1([-1, -0.5, -3], [-2, -1, -1.5]), true);
    assert.equal(agreesOnTop1([-1, -0.5, -3], [-0.5, -0.6, -3]), false);
  });

  it('takes the lowest id of equally likely ones', () => {
    assert.equal(agreesOnTop1([-1, -1, -2], [-0.5, -1, -2]), true);
    assert.equal(agreesOnTop1([-1, -1, -2], [-1, -0.5, -2]), false);
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
