import type { KvShape } from '../cache/page-layout.ts';
import { Matrix } from 'ml-matrix';

/** Sums of outer products for each layer and KV head: [numLayers * numKvHeads, headDim, headDim], upper triangles. */
class Moments {
  readonly #headDim: number;
  readonly #sums: Float64Array;

  constructor({ numLayers, numKvHeads, headDim }: KvShape) {
    this.#headDim = headDim;
    this.#sums = new Float64Array(numLayers * numKvHeads * headDim ** 2);
  }

  /** Adds weight * x x'. */
  add(index: number, x: Float32Array, weight: number): void {
    const d = this.#headDim;
    const sums = this.#sums;
    let at = index * d * d;
    for (let i = 0; i < d; i++) {
      const value = weight * x[i];
      for (let j = i; j < d; j++) sums[at + j] += value * x[j];
      at += d;
    }
  }

  matrix(index: number): Matrix {
    const d = this.#headDim;
    const matrix = Matrix.zeros(d, d);
    for (let i = 0; i < d; i++) {
      for (let j = i; j < d; j++) {
        const sum = this.#sums[(index * d + i) * d + j];
        matrix.set(i, j, sum);
        matrix.set(j, i, sum);
      }
    }
    return matrix;
  }
}

/** What a text's heads are like, by layer and KV head (index = layer * numKvHeads + head). */
export class HeadStatistics {
  readonly #shape: KvShape;
  readonly #keys: Moments;
  readonly #queries: Moments;
  readonly #values: Moments;

  constructor(shape: KvShape) {
    this.#shape = shape;
    this.#keys = new Moments(shape);
    this.#queries = new Moments(shape);
    this.#values = new Moments(shape);
  }

  /**
   * A page of keys, [numTokens, headDim]: their second moments about the page's mean, which a zero point for each channel takes care
   * of.
   */
  addKeys(index: number, keys: Float32Array): void {
    const { headDim } = this.#shape;
    const numTokens = keys.length / headDim;
    const mean = new Float32Array(headDim);
    keys.forEach((value, i) => (mean[i % headDim] += value / numTokens));
    const centred = new Float32Array(headDim);
    for (let t = 0; t < numTokens; t++) {
      for (let c = 0; c < headDim; c++) centred[c] = keys[t * headDim + c] - mean[c];
      this.#keys.add(index, centred, 1);
    }
  }

  /** A query of one of the KV head's query heads. */
  addQuery(index: number, query: Float32Array): void {
    this.#queries.add(index, query, 1);
  }

  /** A token's values. @param weight how much outputs depend on them */
  addValue(index: number, value: Float32Array, weight: number): void {
    this.#values.add(index, value, weight);
  }

  /** What is quantized of K, and what multiplies its errors. */
  keyMoments(index: number): { readonly spread: Matrix; readonly cost: Matrix } {
    return { spread: this.#keys.matrix(index), cost: this.#queries.matrix(index) };
  }

  valueSpread(index: number): Matrix {
    return this.#values.matrix(index);
  }
}
