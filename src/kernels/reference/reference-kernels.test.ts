import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16PageLayout } from '../../cache/page-layout.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Activation, KernelsConfig, Matrix, Step } from '../kernels.ts';
import { createStepPages } from '../step-pages.ts';
import { f32Tensor } from '../testing/tensor-source.ts';
import { ReferenceKernels } from './reference-kernels.ts';

const FILE = { kind: 'file' } as const;
const CONFIG: KernelsConfig = {
  shape: { numLayers: 2, numKvHeads: 1, headDim: 4 },
  numHeads: 2,
  format: { ...parseKvFormat('f16', 4), pageSize: 32 },
  ropeFrequencies: [1, 0.1],
  maxRows: 8,
  maxContext: 64,
  numThreads: 1,
};

function stepOf(kernels: ReferenceKernels, tokenIds: readonly number[], outputRows: readonly number[] = []): Step {
  const place = { firstPosition: 0, sealedPages: [], openPage: 0, sinkPage: undefined, sealInto: undefined };
  const pages = createStepPages(kernels, 2, 1);
  const segments = [{ ...place, firstRow: 0, numRows: tokenIds.length, pages }];
  return { tokenIds, segments, outputRows };
}

async function loadTable(kernels: ReferenceKernels, numRows: number, numCols: number): Promise<Matrix> {
  const values = Array.from({ length: numRows * numCols }, (_, i) => i);
  return kernels.loadMatrix(f32Tensor(numRows, numCols, values), FILE);
}

function rowsOf(kernels: ReferenceKernels, activation: Activation, numRows: number): number[][] {
  return Array.from({ length: numRows }, (_, row) => [...kernels.readRow(activation, row)]);
}

test('a step embeds, normalises, multiplies with bias, accumulates, gates and selects its output rows', async () => {
  const kernels = new ReferenceKernels(CONFIG);
  const table = await loadTable(kernels, 5, 2);
  const swap = await kernels.loadMatrix(f32Tensor(2, 2, [0, 1, 1, 0]), FILE);
  const bias = await kernels.loadVector(f32Tensor(1, 2, [100, 200]), FILE);
  const scale = await kernels.loadVector(f32Tensor(1, 2, [2, 3]), FILE);
  const [x, y] = [kernels.createActivation(2, 'step'), kernels.createActivation(2, 'step')];
  const normed = kernels.createOperand(2, 'step');
  const selected = kernels.createActivation(2, 'output');
  kernels.beginStep(stepOf(kernels, [4, 0, 3], [0, 2]));
  kernels.embed(table, x);
  kernels.rmsNorm(x, scale, 0, normed);
  kernels.matmul(normed, [
    { weights: swap, out: y, bias },
    { weights: swap, out: x, accumulate: true },
  ]);
  kernels.selectOutputs(x, selected);
  kernels.swiGlu(x, y, normed);
  await kernels.finishStep();
  const norm = (a: number, b: number): number => Math.sqrt((a * a + b * b) / 2);
  const expected = [
    [(3 * 9) / norm(8, 9), (2 * 8) / norm(8, 9)],
    [(3 * 1) / norm(0, 1), 0],
    [(3 * 7) / norm(6, 7), (2 * 6) / norm(6, 7)],
  ];
  const floats = (rows: number[][]): number[][] => rows.map((row) => row.map(Math.fround));
  assert.deepEqual(rowsOf(kernels, y, 3), floats(expected.map(([a, b]) => [100 + a, 200 + b])));
  const sums = floats([
    [8 + expected[0][0], 9 + expected[0][1]],
    [0 + expected[1][0], 1 + expected[1][1]],
    [6 + expected[2][0], 7 + expected[2][1]],
  ]);
  assert.deepEqual(rowsOf(kernels, x, 3), sums);
  assert.deepEqual(rowsOf(kernels, selected, 2), [sums[0], sums[2]]);
});

test('rows beyond the last step cannot be read', async () => {
  const kernels = new ReferenceKernels(CONFIG);
  const table = await loadTable(kernels, 5, 2);
  const x = kernels.createActivation(2, 'step');
  assert.throws(() => kernels.readRow(x, 0), /row 0 is not in \[0, 0\)/);
  kernels.beginStep(stepOf(kernels, [1, 2]));
  kernels.embed(table, x);
  await kernels.finishStep();
  assert.deepEqual([...kernels.readRow(x, 1)], [4, 5]);
  assert.throws(() => kernels.readRow(x, 2), /row 2 is not in \[0, 2\)/);
});

test('operations outside a step, a step within a step, and a bad step are refused', async () => {
  const kernels = new ReferenceKernels(CONFIG);
  const table = await loadTable(kernels, 5, 2);
  const x = kernels.createActivation(2, 'step');
  assert.throws(() => kernels.embed(table, x), /no step has begun/);
  await assert.rejects(kernels.finishStep(), /no step has begun/);
  const step = stepOf(kernels, [0]);
  assert.throws(() => kernels.beginStep({ ...step, outputRows: [7] }), /output row 7/);
  kernels.beginStep(step);
  assert.throws(() => kernels.beginStep(step), /a step has begun already/);
  assert.throws(() => kernels.sealTiles(2), /layer 2 is not in \[0, 2\)/);
});

test('token ids beyond the table are refused', async () => {
  const kernels = new ReferenceKernels(CONFIG);
  const table = await loadTable(kernels, 5, 2);
  kernels.beginStep(stepOf(kernels, [1, 5]));
  assert.throws(
    () => kernels.embed(table, kernels.createActivation(2, 'step')),
    /token id 5 at row 1 is not in \[0, 5\)/,
  );
});

test('handles of other kernels are refused', async () => {
  const [kernels, other] = [new ReferenceKernels(CONFIG), new ReferenceKernels(CONFIG)];
  const x = kernels.createActivation(2, 'step');
  kernels.beginStep(stepOf(kernels, [0]));
  assert.throws(() => other.readRow(x, 0), new TypeError('this activation was not created by these kernels'));
  const foreign = await loadTable(other, 5, 2);
  assert.throws(() => kernels.embed(foreign, x), new TypeError('this matrix was not created by these kernels'));
  assert.throws(() => other.beginStep(stepOf(kernels, [0])), /this page memory was not created/);
});

test('pages are read as copies and written whole', () => {
  const kernels = new ReferenceKernels(CONFIG);
  const pages = kernels.createPages(f16PageLayout(2, CONFIG.shape), 2);
  const bytes = kernels.readPage(pages, 1);
  assert.equal(bytes.length, pages.layout.pageBytes);
  bytes.fill(7);
  assert.ok(kernels.readPage(pages, 1).every((byte) => byte === 0));
  kernels.writePage(pages, 1, bytes);
  assert.deepEqual(kernels.readPage(pages, 1), bytes);
  assert.ok(kernels.readPage(pages, 0).every((byte) => byte === 0));
  assert.throws(() => kernels.writePage(pages, 1, bytes.subarray(1)), /63 bytes for a page of 64/);
  assert.throws(() => kernels.readPage(pages, 2), /page 2 is not in \[0, 2\)/);
});

test('memory is counted: float32 weights, page bytes, buffers', async () => {
  const kernels = new ReferenceKernels(CONFIG);
  const before = kernels.memoryUsage();
  assert.deepEqual([before.weightBytes, before.pageBytes], [0, 0]);
  await loadTable(kernels, 5, 2);
  kernels.createPages(f16PageLayout(2, CONFIG.shape), 3);
  kernels.createActivation(10, 'step');
  const after = kernels.memoryUsage();
  assert.equal(after.weightBytes, 5 * 2 * 4);
  assert.equal(after.pageBytes, 3 * 64);
  assert.equal(after.scratchBytes - before.scratchBytes, 8 * 10 * 8);
});

test('it says what runs, and is dead once closed', async () => {
  const kernels = new ReferenceKernels({ ...CONFIG, numThreads: 4 });
  assert.deepEqual(kernels.description, { name: 'reference', threads: 1, isa: 'float64' });
  const step = stepOf(kernels, [0]);
  await kernels.close();
  assert.throws(() => kernels.beginStep(step), {
    code: 'ENGINE_CLOSED',
    message: 'the reference kernels have been closed',
  });
});
