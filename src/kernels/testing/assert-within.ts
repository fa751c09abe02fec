import assert from 'node:assert/strict';

/**
 * That every value is within a tolerance of the expected one; NaN never is.
 *
 * @param tolerance of a value, by its index
 * @param where what the values are, for the failure
 */
export function assertWithin(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: (index: number) => number,
  where: () => string,
): void {
  assert.equal(actual.length, expected.length, where());
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]);
    const limit = tolerance(i);
    if (error <= limit) continue;
    assert.fail(`${where()}, value ${i}: ${actual[i]}, not ${expected[i]}: off by ${error}, more than ${limit}`);
  }
}

/** Largest magnitude; 0 of nothing. */
export function largestMagnitude(values: Iterable<number>): number {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}
