import { Matrix } from 'ml-matrix';
import type { Kernels } from '../kernels/kernels.ts';
import { readMatrix } from '../kernels/reference/weights.ts';
import type { ModelFile } from '../model/model-file.ts';
import type { Transformer } from '../model/transformer.ts';
import { NUM_SINK_TOKENS } from '../quant/kv-format.ts';
import { squaredAttention } from './attention-weights.ts';
import { balancedTransform, errorFeedback } from './balanced-transform.ts';
import { HeadStatistics } from './head-statistics.ts';
import { HeadObserver, type ObservedHeads } from './observe-heads.ts';

/** Measured on SmolLM2-135M-Instruct, see docs/decisions/0006-few-bits.md. */
const KEY_BALANCE = 0.25;
const VALUE_BALANCE = 0.5;
const FEEDBACK_DAMPING = 0.1;
/** Weights of values, by their mean: none counts for nothing, and few not for all. */
const LEAST_WEIGHT = 0.02;
const MOST_WEIGHT = 30;
/** Queries whose attention weights are summed: one of so many. */
const QUERY_STRIDE = 16;

/** All in [numLayers * numKvHeads, headDim, headDim], row-major. */
export interface HeadMatrices {
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly keyFeedback: Float32Array;
}

export interface LearnOptions {
  /** Texts of whole pages of tokens each. */
  readonly windows: readonly (readonly number[])[];
  /** Windows are taken as if they stood at places all over a context of so many tokens. */
  readonly ctx: number;
  readonly onWindow?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Learns what heads are best multiplied by: runs the model over texts and balances what is quantized against what errors cost. Keys cost
 * what queries multiply them with; values cost what the output projection makes of them, and weigh what attention gives them.
 *
 * @param kernels of format f16
 * @param model on these kernels, its file open
 * @throws the signal's reason if it aborts
 */
export async function learnTransforms(
  kernels: Kernels,
  model: { readonly transformer: Transformer; readonly file: ModelFile },
  options: LearnOptions,
): Promise<HeadMatrices> {
  const { shape } = kernels.config;
  const statistics = new HeadStatistics(shape);
  const observer = new HeadObserver(
    kernels,
    model.transformer,
    Math.max(...options.windows.map(({ length }) => length)),
  );
  for (const [index, window] of options.windows.entries()) {
    options.signal?.throwIfAborted();
    const offset = (index % Math.max(1, Math.floor(options.ctx / window.length))) * window.length;
    addWindow(statistics, kernels, await observer.observe(window, offset));
    options.onWindow?.(index + 1);
  }
  const size = shape.headDim ** 2;
  const matrices = [0, 1, 2].map(() => new Float32Array(shape.numLayers * shape.numKvHeads * size));
  for (let layer = 0; layer < shape.numLayers; layer++) {
    const outputCosts = await outputCostsOf(model.file, kernels, layer);
    outputCosts.forEach((outputCost, head) => {
      const index = layer * shape.numKvHeads + head;
      const { spread, cost } = statistics.keyMoments(index);
      const key = balancedTransform(spread, cost, KEY_BALANCE);
      const value = balancedTransform(statistics.valueSpread(index), outputCost, VALUE_BALANCE);
      [key.forward, value.forward, errorFeedback(cost, key, FEEDBACK_DAMPING)].forEach((matrix, i) => {
        matrices[i].set(matrix.to1DArray(), index * size);
      });
    });
  }
  return { k: matrices[0], v: matrices[1], keyFeedback: matrices[2] };
}

function addWindow(statistics: HeadStatistics, kernels: Kernels, observed: ObservedHeads): void {
  const { shape, numHeads, format } = kernels.config;
  const { headDim } = shape;
  const group = numHeads / shape.numKvHeads;
  for (let layer = 0; layer < shape.numLayers; layer++) {
    for (let head = 0; head < shape.numKvHeads; head++) {
      const index = layer * shape.numKvHeads + head;
      const [keys, values] = [observed.keys(layer, head), observed.values(layer, head)];
      const queries = Array.from({ length: group }, (_, i) => observed.queries(layer, head * group + i));
      // What lies in pages: sink tokens are unlike all others, and are not quantized.
      const [sealedKeys, sealedValues] = [keys, values].map((heads) => heads.subarray(NUM_SINK_TOKENS * headDim));
      const pageLength = format.pageSize * headDim;
      for (let at = 0; at + pageLength <= sealedKeys.length; at += pageLength) {
        statistics.addKeys(index, sealedKeys.subarray(at, at + pageLength));
      }
      for (const query of queries) {
        for (let at = 0; at < query.length; at += headDim) statistics.addQuery(index, query.subarray(at, at + headDim));
      }
      const weights = squaredAttention(queries, keys, { headDim, pageSize: format.pageSize, every: QUERY_STRIDE });
      addValues(statistics, index, sealedValues, weights.subarray(NUM_SINK_TOKENS));
    }
  }
}

function addValues(statistics: HeadStatistics, index: number, values: Float32Array, weights: Float64Array): void {
  const headDim = values.length / weights.length;
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  weights.forEach((weight, t) => {
    const clamped = Math.min(Math.max(weight / mean, LEAST_WEIGHT), MOST_WEIGHT);
    statistics.addValue(index, values.subarray(t * headDim, (t + 1) * headDim), clamped);
  });
}

/** Sum of Wo' Wo over the query heads of each KV head, Wo [embedding, headDim] being the columns of the output projection for the head. */
async function outputCostsOf(model: ModelFile, kernels: Kernels, layer: number): Promise<Matrix[]> {
  const { shape, numHeads } = kernels.config;
  const { headDim, numKvHeads } = shape;
  const source = model.file.tensorSource(`blk.${layer}.attn_output.weight`);
  const { values, numRows, numCols } = await readMatrix(source, { kind: 'file' });
  const weights = Matrix.from1DArray(numRows, numCols, values);
  const group = numHeads / numKvHeads;
  return Array.from({ length: numKvHeads }, (_, head) => {
    const cost = Matrix.zeros(headDim, headDim);
    for (let i = head * group; i < (head + 1) * group; i++) {
      const block = weights.subMatrix(0, numRows - 1, i * headDim, (i + 1) * headDim - 1);
      cost.add(block.transpose().mmul(block));
    }
    return cost;
  });
}
