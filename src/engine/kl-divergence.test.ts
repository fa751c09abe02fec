import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { klDivergence } from './kl-divergence.ts';

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
  });
});
