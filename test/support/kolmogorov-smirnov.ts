/** Whether two samples are of one distribution (two-sample Kolmogorov-Smirnov test). */
export interface KolmogorovSmirnov {
  /** Largest distance of the two empirical distribution functions. */
  readonly distance: number;
  /** Chance of at least this distance where both are of one distribution, asymptotically. */
  readonly p: number;
}

/** @throws RangeError where a sample is empty */
export function compareSamples(a: readonly number[], b: readonly number[]): KolmogorovSmirnov {
  if (a.length === 0 || b.length === 0) throw new RangeError('a sample is empty');
  const [first, second] = [a, b].map((sample) => [...sample].sort((x, y) => x - y));
  let distance = 0;
  for (let i = 0, j = 0; i < first.length && j < second.length;) {
    const value = Math.min(first[i], second[j]);
    while (first[i] === value) i++;
    while (second[j] === value) j++;
    distance = Math.max(distance, Math.abs(i / first.length - j / second.length));
  }
  const effectiveSize = (first.length * second.length) / (first.length + second.length);
  return { distance, p: kolmogorovTail(Math.sqrt(effectiveSize) * distance) };
}

const MAX_TERMS = 100;

/** `P(K > x)` of Kolmogorov's distribution: `2 sum (-1)^(k - 1) exp(-2 k^2 x^2)` (Kolmogorov 1933). */
export function kolmogorovTail(x: number): number {
  // The sum converges too slowly there, and is 1 to ten digits.
  if (x < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= MAX_TERMS; k++) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, Math.max(0, sum));
}
