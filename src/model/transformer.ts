import type { Activation, Kernels, MatmulOutput, Operand, Step, Vector } from '../kernels/kernels.ts';
import type { Hyperparameters } from './hyperparameters.ts';
import type { LayerWeights, Weights } from './weights.ts';

/** A layer's weights, bound to the buffers that they write to. */
interface Layer {
  readonly attentionNorm: Vector;
  readonly queryKeyValue: readonly MatmulOutput[];
  readonly queryNorm: Vector | undefined;
  readonly keyNorm: Vector | undefined;
  readonly attentionOutput: readonly MatmulOutput[];
  readonly feedForwardNorm: Vector;
  readonly gateUp: readonly MatmulOutput[];
  readonly down: readonly MatmulOutput[];
}

/**
 * Sees the queries of a layer as attention does: rotated, transformed, scaled by 1 / sqrt(headDim), numHeads * headDim values for each row of
 * the step.
 */
export type QueryObserver = (layer: number, queryRow: (row: number) => Float32Array) => void;

/**
 * A decoder of the llama family (arXiv 2302.13971, with grouped-query attention, arXiv 2305.13245, and where weights
 * have them biases and norms of query and key heads), written once over the kernel interface. All buffers are allocated in the constructor.
 */
export class Transformer {
  /** [output rows, vocabulary], valid after `forward`, until the next one. */
  readonly logits: Activation;
  readonly #kernels: Kernels;
  readonly #weights: Weights;
  readonly #rmsEpsilon: number;
  readonly #layers: readonly Layer[];
  readonly #buffers: Buffers;
  readonly #head: readonly MatmulOutput[];

  /**
   * @param weights loaded by the same `kernels`
   * @throws KvantError OUT_OF_MEMORY, RangeError if a shape contradicts the hyperparameters
   */
  constructor(kernels: Kernels, weights: Weights, hyperparameters: Hyperparameters) {
    checkShapes(kernels, weights, hyperparameters);
    this.#kernels = kernels;
    this.#weights = weights;
    this.#rmsEpsilon = hyperparameters.rmsEpsilon;
    this.#buffers = createBuffers(kernels, hyperparameters);
    this.#layers = weights.layers.map((layer) => bindLayer(layer, this.#buffers));
    this.logits = kernels.createActivation(hyperparameters.vocabularySize, 'output', 'readable');
    this.#head = [{ weights: weights.output, out: this.logits }];
  }

  /**
   * Computes a step: stores keys and values of its tokens, seals the tiles that are full, and leaves the logits of
   * `step.outputRows` in `logits`.
   *
   * @param observeQueries called once a layer; slows the step down
   * @throws KvantError ENGINE_FAILED, RangeError if the step breaks a rule of `Step`
   */
  async forward(step: Step, observeQueries?: QueryObserver): Promise<void> {
    const kernels = this.#kernels;
    kernels.beginStep(step);
    kernels.embed(this.#weights.tokenEmbedding, this.#buffers.residual);
    for (const [index, layer] of this.#layers.entries()) {
      this.#storeKeysValues(layer, index);
      if (observeQueries) {
        await kernels.flush();
        observeQueries(index, (row) => kernels.readRow(this.#buffers.query, row));
      }
      this.#attention(layer, index);
      this.#feedForward(layer);
    }
    if (step.outputRows.length > 0) this.#computeLogits(step);
    await kernels.finishStep();
  }

  #storeKeysValues(layer: Layer, index: number): void {
    const { residual, normed, query, key, value } = this.#buffers;
    this.#kernels.rmsNorm(residual, layer.attentionNorm, this.#rmsEpsilon, normed);
    this.#kernels.matmul(normed, layer.queryKeyValue);
    if (layer.queryNorm) this.#kernels.normHeads(query, layer.queryNorm, this.#rmsEpsilon);
    if (layer.keyNorm) this.#kernels.normHeads(key, layer.keyNorm, this.#rmsEpsilon);
    this.#kernels.storeKeysValues(index, query, key, value);
  }

  #attention(layer: Layer, index: number): void {
    const { query, attended } = this.#buffers;
    this.#kernels.attend(index, query, attended);
    this.#kernels.sealTiles(index);
    this.#kernels.matmul(attended, layer.attentionOutput);
  }

  #feedForward(layer: Layer): void {
    const { residual, normed, gate, up, activated } = this.#buffers;
    const kernels = this.#kernels;
    kernels.rmsNorm(residual, layer.feedForwardNorm, this.#rmsEpsilon, normed);
    kernels.matmul(normed, layer.gateUp);
    kernels.swiGlu(gate, up, activated);
    kernels.matmul(activated, layer.down);
  }

  #computeLogits({ numLargest }: Step): void {
    const { residual, selected, selectedNormed } = this.#buffers;
    this.#kernels.selectOutputs(residual, selected);
    this.#kernels.rmsNorm(selected, this.#weights.outputNorm, this.#rmsEpsilon, selectedNormed);
    this.#kernels.matmul(selectedNormed, this.#head);
    if (numLargest !== undefined) this.#kernels.selectLargest?.(this.logits, numLargest);
  }
}

/** Activations and operands of a step; all layers use the same. */
interface Buffers {
  /** The residual stream, [T, embedding]. */
  readonly residual: Activation;
  readonly normed: Operand;
  /** [T, H * D] */
  readonly query: Activation;
  /** [T, G * D] */
  readonly key: Activation;
  readonly value: Activation;
  readonly attended: Operand;
  /** [T, feed-forward] */
  readonly gate: Activation;
  readonly up: Activation;
  readonly activated: Operand;
  /** [O, embedding] */
  readonly selected: Activation;
  readonly selectedNormed: Operand;
}

function createBuffers(kernels: Kernels, hyperparameters: Hyperparameters): Buffers {
  const { embeddingLength, feedForwardLength, numHeads, numKvHeads, headDim } = hyperparameters;
  return {
    residual: kernels.createActivation(embeddingLength, 'step'),
    normed: kernels.createOperand(embeddingLength, 'step'),
    query: kernels.createActivation(numHeads * headDim, 'step', 'flushed'),
    key: kernels.createActivation(numKvHeads * headDim, 'step'),
    value: kernels.createActivation(numKvHeads * headDim, 'step'),
    attended: kernels.createOperand(numHeads * headDim, 'step'),
    gate: kernels.createActivation(feedForwardLength, 'step'),
    up: kernels.createActivation(feedForwardLength, 'step'),
    activated: kernels.createOperand(feedForwardLength, 'step'),
    selected: kernels.createActivation(embeddingLength, 'output'),
    selectedNormed: kernels.createOperand(embeddingLength, 'output'),
  };
}

function bindLayer(layer: LayerWeights, buffers: Buffers): Layer {
  return {
    attentionNorm: layer.attentionNorm,
    queryKeyValue: [
      { ...layer.query, out: buffers.query },
      { ...layer.key, out: buffers.key },
      { ...layer.value, out: buffers.value },
    ],
    queryNorm: layer.queryNorm,
    keyNorm: layer.keyNorm,
    attentionOutput: [{ ...layer.attentionOutput, out: buffers.residual, accumulate: true }],
    feedForwardNorm: layer.feedForwardNorm,
    gateUp: [
      { ...layer.gate, out: buffers.gate },
      { ...layer.up, out: buffers.up },
    ],
    down: [{ ...layer.down, out: buffers.residual, accumulate: true }],
  };
}

/** The backend is made from the same model: caught here, a mix-up does not become noise. */
function checkShapes(kernels: Kernels, weights: Weights, hyperparameters: Hyperparameters): void {
  const { shape, numHeads, ropeFrequencies } = kernels.config;
  const expected = {
    ...pickShape(hyperparameters),
    numHeads: hyperparameters.numHeads,
    numPairs: hyperparameters.ropeDim / 2,
  };
  const found = { ...pickShape(shape), numHeads, numPairs: ropeFrequencies.length };
  if (JSON.stringify(expected) !== JSON.stringify(found)) {
    throw new RangeError(`the kernels are made for ${JSON.stringify(found)}, the model is ${JSON.stringify(expected)}`);
  }
  if (weights.layers.length !== hyperparameters.numLayers) {
    throw new RangeError(`weights of ${weights.layers.length} layers for a model of ${hyperparameters.numLayers}`);
  }
}

function pickShape({ numLayers, numKvHeads, headDim }: { numLayers: number; numKvHeads: number; headDim: number }) {
  return { numLayers, numKvHeads, headDim };
}
