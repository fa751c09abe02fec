import { KvantError } from '../errors.ts';
import type { RowOrder } from '../kernels/kernels.ts';
import type { WeightType } from '../kernels/weight-types.ts';
import { ARCHITECTURES } from './architectures.ts';
import type { GgufTensor } from './gguf-tensor.ts';
import type { Hyperparameters } from './hyperparameters.ts';
import { formatShape, quote } from './messages.ts';

/** A tensor that a model needs, and how the kernels take it. */
export interface PlannedTensor {
  readonly name: string;
  readonly kind: 'matrix' | 'vector';
  /** The contiguous dimension first: [length], or [input features, output features]. */
  readonly shape: readonly number[];
  readonly rowOrder: RowOrder;
  readonly optional: boolean;
}

/** Llama 3's frequency factors; read when the model is opened, not a weight. */
export const ROPE_FACTORS_TENSOR = 'rope_freqs.weight';

const IN_FILE_ORDER: RowOrder = { kind: 'file' };
const VECTOR_TYPES: readonly WeightType[] = ['F32', 'F16', 'BF16'];

/**
 * Checks that a file has every tensor that its hyperparameters ask for, in that shape, and no other.
 *
 * @returns what is there to load, in order of place in the file
 * @throws KvantError MODEL_INVALID for a tensor that is missing, misshapen or unknown, MODEL_UNSUPPORTED for a
 *   quantized vector
 */
export function planTensors(
  fileName: string,
  tensors: ReadonlyMap<string, GgufTensor>,
  hyperparameters: Hyperparameters,
): PlannedTensor[] {
  const plan = new Map<string, PlannedTensor>();
  for (const planned of expectedTensors(hyperparameters)) {
    const tensor = tensors.get(planned.name);
    if (tensor) {
      checkTensor(fileName, planned, tensor);
      plan.set(planned.name, planned);
    } else if (!planned.optional) {
      throw new KvantError(
        'MODEL_INVALID',
        `${quote(fileName)} has no tensor ${quote(planned.name)}, expected one of ${formatShape(planned.shape)}: ` +
          'download or convert it again',
      );
    }
  }
  refuseUnknownTensors(fileName, tensors, plan, hyperparameters.architecture);
  const inFileOrder: PlannedTensor[] = [];
  for (const name of tensors.keys()) {
    const planned = plan.get(name);
    if (planned) inFileOrder.push(planned);
  }
  return inFileOrder;
}

function expectedTensors(hyperparameters: Hyperparameters): PlannedTensor[] {
  const { embeddingLength, vocabularySize, numLayers } = hyperparameters;
  const tensors = [
    matrix('token_embd.weight', embeddingLength, vocabularySize),
    vector('output_norm.weight', embeddingLength),
    // Without it the embedding serves as the output matrix (tied weights).
    { ...matrix('output.weight', embeddingLength, vocabularySize), optional: true },
  ];
  for (let layer = 0; layer < numLayers; layer++) {
    for (const tensor of layerTensors(hyperparameters))
      tensors.push({ ...tensor, name: `blk.${layer}.${tensor.name}` });
  }
  return tensors;
}

function layerTensors(hyperparameters: Hyperparameters): PlannedTensor[] {
  const { embeddingLength, feedForwardLength, numHeads, numKvHeads, headDim, ropeDim } = hyperparameters;
  const { ropePairs, queryKeyValueBias, normsHeads } = ARCHITECTURES[hyperparameters.architecture];
  const rotated: RowOrder =
    ropePairs === 'interleaved' ? { kind: 'interleaved-rope', headDim, ropeDim } : IN_FILE_ORDER;
  const queryWidth = numHeads * headDim;
  const keyWidth = numKvHeads * headDim;
  const hasBiases = queryKeyValueBias !== 'none';
  const biases = hasBiases
    ? [
        vector('attn_q.bias', queryWidth, rotated),
        vector('attn_k.bias', keyWidth, rotated),
        vector('attn_v.bias', keyWidth),
      ]
    : [];
  return [
    vector('attn_norm.weight', embeddingLength),
    matrix('attn_q.weight', embeddingLength, queryWidth, rotated),
    matrix('attn_k.weight', embeddingLength, keyWidth, rotated),
    matrix('attn_v.weight', embeddingLength, keyWidth),
    ...biases.map((bias) => ({ ...bias, optional: queryKeyValueBias === 'optional' })),
    ...(normsHeads
      ? [vector('attn_q_norm.weight', headDim, rotated), vector('attn_k_norm.weight', headDim, rotated)]
      : []),
    matrix('attn_output.weight', queryWidth, embeddingLength),
    vector('ffn_norm.weight', embeddingLength),
    matrix('ffn_gate.weight', embeddingLength, feedForwardLength),
    matrix('ffn_up.weight', embeddingLength, feedForwardLength),
    matrix('ffn_down.weight', feedForwardLength, embeddingLength),
  ];
}

function matrix(name: string, numCols: number, numRows: number, rowOrder = IN_FILE_ORDER): PlannedTensor {
  return { name, kind: 'matrix', shape: [numCols, numRows], rowOrder, optional: false };
}

function vector(name: string, length: number, rowOrder = IN_FILE_ORDER): PlannedTensor {
  return { name, kind: 'vector', shape: [length], rowOrder, optional: false };
}

function checkTensor(fileName: string, planned: PlannedTensor, tensor: GgufTensor): void {
  if (!equalShapes(planned.shape, tensor.shape)) {
    throw new KvantError(
      'MODEL_INVALID',
      `tensor ${quote(planned.name)} of ${quote(fileName)} has the shape ${formatShape(tensor.shape)}, expected ` +
        `${formatShape(planned.shape)} by the file's metadata: download or convert it again`,
    );
  }
  if (planned.kind === 'vector' && !VECTOR_TYPES.includes(tensor.type)) {
    throw new KvantError(
      'MODEL_UNSUPPORTED',
      `tensor ${quote(planned.name)} of ${quote(fileName)} has the type ${tensor.type}; Kvant reads vectors in ` +
        `${VECTOR_TYPES.join(', ')}: use another file of this model`,
    );
  }
}

/** A model with a dimension of 1 may have it at the end, where the reader has dropped it. */
function equalShapes(expected: readonly number[], found: readonly number[]): boolean {
  const [expectedCols, expectedRows = 1] = expected;
  const [foundCols, foundRows = 1] = found;
  return found.length <= 2 && expectedCols === foundCols && expectedRows === foundRows;
}

function refuseUnknownTensors(
  fileName: string,
  tensors: ReadonlyMap<string, GgufTensor>,
  plan: ReadonlyMap<string, PlannedTensor>,
  architecture: string,
): void {
  const unknown = [...tensors.values()].filter(({ name }) => !plan.has(name) && name !== ROPE_FACTORS_TENSOR);
  if (unknown.length === 0) return;
  const [first] = unknown;
  throw new KvantError(
    'MODEL_INVALID',
    `${quote(fileName)} has ${unknown.length} tensors that Kvant does not know in a ${architecture} model of its ` +
      `size, the first ${quote(first.name)} of ${formatShape(first.shape)}; without them its text would be wrong. ` +
      'Use another file of this model',
  );
}
