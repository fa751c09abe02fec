import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ropeFrequencies } from './rope.ts';

const PLAIN = { ropeDim: 8, ropeBase: 10_000, ropeScalingFactor: 1 };

function near(found: readonly number[], expected: readonly number[]): void {
  assert.equal(found.length, expected.length);
  found.forEach((value, i) =>
    assert.ok(Math.abs(value / expected[i] - 1) < 1e-15, `${value} at ${i}, expected ${expected[i]}`),
  );
}

describe('ropeFrequencies (relative error < 1e-15)', () => {
  it('falls from 1 by the base', () => near(ropeFrequencies(PLAIN), [1, 0.1, 0.01, 0.001]));

  it('divides by the linear scaling factor', () => {
    near(ropeFrequencies({ ...PLAIN, ropeScalingFactor: 4 }), [0.25, 0.025, 0.0025, 0.00025]);
  });

  it('divides each frequency by its factor', () => {
    near(ropeFrequencies(PLAIN, [1, 2, 4, 8]), [1, 0.05, 0.0025, 0.000125]);
    near(
      ropeFrequencies({ ...PLAIN, ropeScalingFactor: 2 }, Float32Array.of(1, 2, 4, 8)),
      [0.5, 0.025, 0.00125, 0.0000625],
    );
  });

  it('refuses factors that are too few', () => {
    assert.throws(() => ropeFrequencies(PLAIN, [1, 2]), new RangeError('2 RoPE factors for 4 pairs'));
  });
});
