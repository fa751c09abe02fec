import type { KvFormat } from '../quant/kv-format.ts';
import type { Activation, KernelsConfig, MatmulOutput, Matrix, Operand, RowSet, Vector } from './kernels.ts';

/**
 * Shape rules of the operations, for all backends. Each throws a RangeError that names the operation, what it got and
 * what it needs.
 */

export function checkConfig(config: KernelsConfig): void {
  const { shape, numHeads, ropeFrequencies, format } = config;
  const { numKvHeads, headDim } = shape;
  check(numHeads % numKvHeads === 0, `${numHeads} heads do not share ${numKvHeads} KV heads evenly`);
  check(
    2 * ropeFrequencies.length <= headDim,
    `${ropeFrequencies.length} rotary pairs do not fit a head of ${headDim}`,
  );
  checkFormat(format, config);
}

/** A format's pages are as long as those of the kernels' own format, and all that it says of layers and heads fits the model. */
export function checkFormat(format: KvFormat, { shape, format: own }: KernelsConfig): void {
  const { numLayers, numKvHeads, headDim } = shape;
  const { name, pageSize, layerBits = { length: numLayers } } = format;
  check(
    pageSize === own.pageSize,
    `${name} has pages of ${pageSize} tokens, and ${own.name} of ${own.pageSize}: formats of the same kernels have pages of one length`,
  );
  check(layerBits.length === numLayers, `${name} has bits for ${layerBits.length} layers of ${numLayers}`);
  for (const { rotate, transforms, feedback } of [format.k, format.v]) {
    const numMatrices = numLayers * numKvHeads;
    const fits = !transforms || transforms.forward.length === numMatrices * headDim ** 2;
    check(!feedback || feedback.length === numMatrices * headDim ** 2, 'feedback is not a matrix for each head');
    check(fits, `transforms are not ${numMatrices} matrices of ${headDim} x ${headDim}`);
    const rotatable = transforms ?? ((headDim & (headDim - 1)) === 0 || !rotate);
    check(Boolean(rotatable), `heads of ${headDim} cannot be rotated: it is no power of two`);
  }
}

export function checkLayer(layer: number, { shape }: KernelsConfig): void {
  const known = Number.isInteger(layer) && layer >= 0 && layer < shape.numLayers;
  check(known, `layer ${layer} is not in [0, ${shape.numLayers})`);
}

export function checkEmbed(table: Matrix, out: Activation): void {
  checkBuffer('embedding', out, table.numCols, 'step');
}

export function checkRmsNorm(x: Activation, weight: Vector, out: Operand): void {
  check(weight.length === x.width, `norm: ${weight.length} weights for ${x.width} channels`);
  checkBuffer('norm output', out, x.width, x.rows);
}

export function checkNormHeads(x: Activation, weight: Vector): void {
  const isWhole = weight.length % 4 === 0 && x.width % weight.length === 0;
  check(
    isWhole,
    `norm of heads: ${weight.length} weights, which must be a multiple of 4 and divide ${x.width} channels`,
  );
}

export function checkMatmul(x: Operand, { weights, out, bias }: MatmulOutput): void {
  check(x.width === weights.numCols, `matmul: an input of ${x.width} for a matrix of ${weights.numCols} columns`);
  checkBuffer('matmul output', out, weights.numRows, x.rows);
  if (bias) check(bias.length === weights.numRows, `matmul: a bias of ${bias.length} for ${weights.numRows} outputs`);
}

export function checkQueries(q: Activation, { shape, numHeads }: KernelsConfig): void {
  checkBuffer('queries', q, numHeads * shape.headDim, 'step');
}

export function checkKeysValues(k: Activation, v: Activation, { shape }: KernelsConfig): void {
  checkBuffer('keys', k, shape.numKvHeads * shape.headDim, 'step');
  checkBuffer('values', v, shape.numKvHeads * shape.headDim, 'step');
}

export function checkAttend(q: Activation, out: Operand, config: KernelsConfig): void {
  checkQueries(q, config);
  checkBuffer('attention output', out, q.width, 'step');
}

export function checkSwiGlu(gate: Activation, up: Activation, out: Operand): void {
  checkBuffer('SwiGLU input', up, gate.width, gate.rows);
  checkBuffer('SwiGLU output', out, gate.width, gate.rows);
}

export function checkSelectOutputs(x: Activation, out: Activation): void {
  checkBuffer('rows to select from', x, out.width, 'step');
  checkBuffer('selected rows', out, x.width, 'output');
}

function checkBuffer(what: string, buffer: Activation | Operand, width: number, rows: RowSet): void {
  const fits = buffer.width === width && buffer.rows === rows;
  check(fits, `${what}: [${buffer.rows} rows, ${buffer.width}] where [${rows} rows, ${width}] is needed`);
}

function check(condition: boolean, message: string): void {
  if (!condition) throw new RangeError(message);
}
