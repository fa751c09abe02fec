import type { ProductCase, ProductOutput } from './product-bench.ts';
import { floatRows } from './float-data.ts';
import { randomWeights } from './weight-data.ts';
import type { WeightType } from '../weight-types.ts';

/** Activations that share a scale when they are rounded to int8. */
const ACTIVATION_GROUP = 16;
/** Groups with no value as large as this are taken for zeros. */
const LEAST_SCALED = 1e-30;
/** Least denormal float32. */
const LEAST_FLOAT = 2 ** -149;

/** Output features that are not whole strips, a bias, a residual, and all of it in one call. */
export function productCase(type: WeightType, rows: readonly Float32Array[]): ProductCase {
  const numCols = rows[0].length;
  const weights = [40, 1, 13, 13].map((numRows, i) => randomWeights(type, numRows, numCols, 10 * i + 1));
  const bias = floatRows('Gaussian', 1, 13, 5)[0];
  return {
    rows,
    outputs: [
      { weights: weights[0] },
      { weights: weights[1], base: floatRows('Gaussian', 1, 1, 6)[0] },
      { weights: weights[2], bias },
      { weights: weights[3], bias, base: floatRows('Gaussian', 1, 13, 7)[0] },
    ],
  };
}

/** 1e-6 of sum |w x| and of what is added to it, and for denormal products, which have a least step, a step a column. */
export function floatTolerance(x: Float32Array, { weights, bias, base }: ProductOutput, n: number): number {
  let sum = Math.abs(bias?.[n] ?? 0) + Math.abs(base?.[n] ?? 0);
  const start = n * weights.numCols;
  for (let c = 0; c < x.length; c++) sum += Math.abs(x[c] * weights.values[start + c]);
  return 1e-6 * sum + weights.numCols * LEAST_FLOAT;
}

/**
 * How far rounding x moves the product: each value by half a step, a step being 1/127 of the group's largest magnitude;
 * 1/1000 more for the rounding of the step itself.
 */
export function roundingBound(x: Float32Array, { weights }: ProductOutput, n: number): number {
  let bound = 0;
  for (let first = 0; first < x.length; first += ACTIVATION_GROUP) {
    const start = n * weights.numCols + first;
    let [largest, sum] = [0, 0];
    for (let i = 0; i < ACTIVATION_GROUP; i++) {
      largest = Math.max(largest, Math.abs(x[first + i]));
      sum += Math.abs(weights.values[start + i]);
    }
    bound += sum * (largest < LEAST_SCALED ? largest : (0.5005 * largest) / 127);
  }
  return bound;
}

/** Variance of the product where each value is moved by a uniformly distributed part of a step. */
export function roundingVariance(x: Float32Array, { weights }: ProductOutput, n: number): number {
  let variance = 0;
  for (let first = 0; first < x.length; first += ACTIVATION_GROUP) {
    const step = Math.max(...x.subarray(first, first + ACTIVATION_GROUP).map(Math.abs)) / 127;
    const start = n * weights.numCols + first;
    for (let i = start; i < start + ACTIVATION_GROUP; i++) variance += (step * weights.values[i]) ** 2 / 12;
  }
  return variance;
}

/** How far output feature n of a row may be off. */
export type Tolerance = (x: Float32Array, output: ProductOutput, n: number) => number;
