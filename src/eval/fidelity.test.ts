import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FidelityMeter } from './fidelity.ts';

const logsOf = (probabilities: readonly number[]): number[] => probabilities.map(Math.log);

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-14, `${actual}, expected ${expected}`);
}

describe('FidelityMeter', () => {
  it('agrees with values computed by hand (error < 1e-14)', () => {
    const meter = new FidelityMeter();
    near(meter.add(logsOf([0.5, 0.5]), logsOf([0.25, 0.75]), 0), Math.LN2 - Math.log(3) / 2);
    near(meter.add(logsOf([0.2, 0.8]), logsOf([0.2, 0.8]), 1), 0);
    near(meter.add(logsOf([0.25, 0.75]), logsOf([0.5, 0.5]), 1), 0.75 * Math.log(3) - Math.LN2);
    const { numPositions, kld, top1Agreement, perplexity, perplexityRatio, rmsProbabilityChange } = meter.result();
    assert.equal(numPositions, 3);
    near(kld.mean, Math.log(3) / 12);
    // Of equally likely tokens the first counts: the first and the last row disagree with theirs.
    assert.equal(top1Agreement, 1 / 3);
    // Candidate: 1/4, 4/5, 1/2 of the tokens that follow; reference: 1/2, 4/5, 3/4.
    near(perplexity, (0.25 * 0.8 * 0.5) ** (-1 / 3));
    near(perplexityRatio, ((0.5 * 0.75) / (0.25 * 0.5)) ** (1 / 3));
    near(rmsProbabilityChange, Math.sqrt((0.25 ** 2 + 0 + 0.25 ** 2) / 3));
  });

  it('of a reference with itself is exactly nothing', () => {
    const meter = new FidelityMeter();
    for (const row of [logsOf([0.1, 0.9]), logsOf([0.7, 0.3])]) meter.add(row, row, 0);
    const { kld, top1Agreement, perplexityRatio, rmsProbabilityChange } = meter.result();
    assert.deepEqual(kld, { mean: 0, median: 0, percentile999: 0, max: 0 });
    assert.deepEqual([top1Agreement, perplexityRatio, rmsProbabilityChange], [1, 1, 0]);
  });

  it('refuses rows of different length, and a result of nothing', () => {
    assert.throws(() => new FidelityMeter().add([0], [0, 0], 0), RangeError);
    assert.throws(() => new FidelityMeter().result(), RangeError);
  });
});
