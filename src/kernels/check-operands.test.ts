import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../quant/kv-format.ts';
import {
  checkAttend,
  checkConfig,
  checkEmbed,
  checkKeysValues,
  checkLayer,
  checkMatmul,
  checkNormHeads,
  checkQueries,
  checkRmsNorm,
  checkSelectOutputs,
  checkSwiGlu,
} from './check-operands.ts';
import type { Activation, KernelsConfig, Matrix, Operand, RowSet, Vector } from './kernels.ts';

const CONFIG: KernelsConfig = {
  shape: { numLayers: 2, numKvHeads: 2, headDim: 16 },
  numHeads: 6,
  format: parseKvFormat('q4', 16),
  ropeFrequencies: new Array<number>(8).fill(1),
  maxRows: 8,
  maxContext: 64,
  numThreads: 1,
};

const activation = (width: number, rows: RowSet = 'step'): Activation => ({ width, rows }) as Activation;
const operand = (width: number, rows: RowSet = 'step'): Operand => ({ width, rows }) as Operand;
const matrix = (numRows: number, numCols: number): Matrix => ({ numRows, numCols }) as Matrix;
const vector = (length: number): Vector => ({ length }) as Vector;

test('shapes that fit pass', () => {
  checkConfig(CONFIG);
  checkLayer(1, CONFIG);
  checkEmbed(matrix(100, 7), activation(7));
  checkRmsNorm(activation(7, 'output'), vector(7), operand(7, 'output'));
  checkNormHeads(activation(96, 'output'), vector(32));
  checkMatmul(operand(7), { weights: matrix(9, 7), out: activation(9), bias: vector(9) });
  checkMatmul(operand(7, 'output'), { weights: matrix(9, 7), out: activation(9, 'output') });
  checkQueries(activation(96), CONFIG);
  checkKeysValues(activation(32), activation(32), CONFIG);
  checkAttend(activation(96), operand(96), CONFIG);
  checkSwiGlu(activation(5), activation(5), operand(5));
  checkSelectOutputs(activation(7), activation(7, 'output'));
});

test('shapes that do not fit are refused with what was given and what is needed', () => {
  const cases: [string, () => void][] = [
    [
      '6 heads do not share 4 KV heads evenly',
      () => checkConfig({ ...CONFIG, shape: { ...CONFIG.shape, numKvHeads: 4 } }),
    ],
    [
      '9 rotary pairs do not fit a head of 16',
      () => checkConfig({ ...CONFIG, ropeFrequencies: new Array<number>(9).fill(1) }),
    ],
    [
      'heads of 24 cannot be rotated: it is no power of two',
      () => checkConfig({ ...CONFIG, shape: { ...CONFIG.shape, headDim: 24 } }),
    ],
    ['layer 2 is not in [0, 2)', () => checkLayer(2, CONFIG)],
    ['layer -1 is not in [0, 2)', () => checkLayer(-1, CONFIG)],
    ['embedding: [step rows, 8] where [step rows, 7] is needed', () => checkEmbed(matrix(100, 7), activation(8))],
    [
      'embedding: [output rows, 7] where [step rows, 7] is needed',
      () => checkEmbed(matrix(9, 7), activation(7, 'output')),
    ],
    ['norm: 6 weights for 7 channels', () => checkRmsNorm(activation(7), vector(6), operand(7))],
    [
      'norm output: [output rows, 7] where [step rows, 7] is needed',
      () => checkRmsNorm(activation(7), vector(7), operand(7, 'output')),
    ],
    [
      'norm of heads: 32 weights, which must be a multiple of 4 and divide 80 channels',
      () => checkNormHeads(activation(80), vector(32)),
    ],
    [
      'norm of heads: 10 weights, which must be a multiple of 4 and divide 80 channels',
      () => checkNormHeads(activation(80), vector(10)),
    ],
    [
      'matmul: an input of 6 for a matrix of 7 columns',
      () => checkMatmul(operand(6), { weights: matrix(9, 7), out: activation(9) }),
    ],
    [
      'matmul output: [step rows, 8] where [step rows, 9] is needed',
      () => checkMatmul(operand(7), { weights: matrix(9, 7), out: activation(8) }),
    ],
    [
      'matmul: a bias of 8 for 9 outputs',
      () => checkMatmul(operand(7), { weights: matrix(9, 7), out: activation(9), bias: vector(8) }),
    ],
    ['queries: [step rows, 95] where [step rows, 96] is needed', () => checkQueries(activation(95), CONFIG)],
    [
      'keys: [step rows, 31] where [step rows, 32] is needed',
      () => checkKeysValues(activation(31), activation(32), CONFIG),
    ],
    [
      'values: [step rows, 31] where [step rows, 32] is needed',
      () => checkKeysValues(activation(32), activation(31), CONFIG),
    ],
    [
      'attention output: [step rows, 95] where [step rows, 96] is needed',
      () => checkAttend(activation(96), operand(95), CONFIG),
    ],
    [
      'SwiGLU input: [step rows, 6] where [step rows, 5] is needed',
      () => checkSwiGlu(activation(5), activation(6), operand(5)),
    ],
    [
      'SwiGLU output: [step rows, 6] where [step rows, 5] is needed',
      () => checkSwiGlu(activation(5), activation(5), operand(6)),
    ],
    [
      'rows to select from: [output rows, 7] where [step rows, 7] is needed',
      () => checkSelectOutputs(activation(7, 'output'), activation(7, 'output')),
    ],
    [
      'selected rows: [step rows, 7] where [output rows, 7] is needed',
      () => checkSelectOutputs(activation(7), activation(7)),
    ],
  ];
  for (const [message, run] of cases) assert.throws(run, new RangeError(message));
});
