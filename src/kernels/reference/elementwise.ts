/**
 * RMSNorm (arXiv 1910.07467): out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i], in float64. All three have one
 * length; `out` may be `x`.
 */
export function rmsNorm(x: Float64Array, weight: Float32Array, epsilon: number, out: Float64Array): void {
  let squares = 0;
  for (const value of x) squares += value * value;
  const factor = 1 / Math.sqrt(squares / x.length + epsilon);
  for (let i = 0; i < x.length; i++) out[i] = x[i] * factor * weight[i];
}

/** RMSNorm in place of every group of `weight.length` neighbouring values by itself, in float64. */
export function normGroups(x: Float64Array, weight: Float32Array, epsilon: number): void {
  for (let start = 0; start < x.length; start += weight.length) {
    const group = x.subarray(start, start + weight.length);
    rmsNorm(group, weight, epsilon, group);
  }
}

/**
 * SwiGLU (arXiv 2002.05202): out[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x)), in float64. All have one
 * length.
 */
export function swiGlu(gate: Float64Array, up: Float64Array, out: Float64Array): void {
  for (let i = 0; i < gate.length; i++) out[i] = (gate[i] / (1 + Math.exp(-gate[i]))) * up[i];
}

/** Replaces the first `length` values by their softmax, in float64. With one value or more, their sum is 1. */
export function softmaxInPlace(x: Float64Array, length: number): void {
  let max = -Infinity;
  for (let i = 0; i < length; i++) max = Math.max(max, x[i]);
  let sum = 0;
  for (let i = 0; i < length; i++) {
    x[i] = Math.exp(x[i] - max);
    sum += x[i];
  }
  for (let i = 0; i < length; i++) x[i] /= sum;
}
