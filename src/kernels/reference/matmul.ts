/** A product and where it goes. */
export interface Product {
  /** [numRows, width] */
  readonly x: Float64Array;
  readonly numRows: number;
  /** [numOutputs, width] */
  readonly weights: Float32Array;
  readonly width: number;
  readonly numOutputs: number;
  /** [numRows, numOutputs] */
  readonly out: Float64Array;
  /** numOutputs values, added to every row. */
  readonly bias: Float32Array | undefined;
  /** Whether the product is added to what `out` holds. */
  readonly accumulate: boolean;
}

/**
 * out[t][n] = sum over k of x[t][k] * w[n][k], in float64, plus the bias, plus what `out` holds if it accumulates. Each
 * sum runs over k in order, whatever the blocking, so that a row's bits do not depend on how many rows there are.
 */
export function matmul(product: Product): void {
  const { numRows, numOutputs } = product;
  const numBlocked = numOutputs - (numOutputs % 4);
  for (let n = 0; n < numBlocked; n += 4) {
    for (let t = 0; t < numRows; t++) multiplyFour(product, t, n);
  }
  for (let n = numBlocked; n < numOutputs; n++) {
    for (let t = 0; t < numRows; t++) multiplyOne(product, t, n);
  }
}

/**
 * Four outputs of a row: every load of x serves four sums that do not wait for each other (1.7 GMAC/s per core of a Zen
 * 5).
 */
function multiplyFour(product: Product, t: number, n: number): void {
  const { x, weights, width } = product;
  const row = t * width;
  const w0 = n * width;
  const w1 = w0 + width;
  const w2 = w1 + width;
  const w3 = w2 + width;
  let sum0 = 0;
  let sum1 = 0;
  let sum2 = 0;
  let sum3 = 0;
  for (let k = 0; k < width; k++) {
    const value = x[row + k];
    sum0 += value * weights[w0 + k];
    sum1 += value * weights[w1 + k];
    sum2 += value * weights[w2 + k];
    sum3 += value * weights[w3 + k];
  }
  store(product, t, n, sum0);
  store(product, t, n + 1, sum1);
  store(product, t, n + 2, sum2);
  store(product, t, n + 3, sum3);
}

function multiplyOne(product: Product, t: number, n: number): void {
  const { x, weights, width } = product;
  let sum = 0;
  for (let k = 0; k < width; k++) sum += x[t * width + k] * weights[n * width + k];
  store(product, t, n, sum);
}

function store({ out, numOutputs, bias, accumulate }: Product, t: number, n: number, sum: number): void {
  const at = t * numOutputs + n;
  const base = accumulate ? out[at] : 0;
  out[at] = base + (bias ? bias[n] : 0) + sum;
}
