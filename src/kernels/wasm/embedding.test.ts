import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig, RowOrder } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { floatRows } from '../testing/float-data.ts';
import { RowBench } from '../testing/row-bench.ts';
import { f32Tensor, tensorSource } from '../testing/tensor-source.ts';
import { buildName, BUILDS_TITLE, closeAll, createWasmBuilds } from '../testing/wasm-builds.ts';
import type { RandomWeights } from '../testing/weight-data.ts';
import { randomWeights } from '../testing/weight-data.ts';
import type { WeightType } from '../weight-types.ts';
import { WEIGHT_TYPES } from '../weight-types.ts';

const CONFIG: KernelsConfig = {
  shape: { numLayers: 1, numKvHeads: 1, headDim: 16 },
  numHeads: 1,
  format: parseKvFormat('f16', 16),
  ropeFrequencies: [1],
  maxRows: 64,
  maxContext: 64,
  numThreads: 1,
};
const TYPES = Object.keys(WEIGHT_TYPES) as WeightType[];

/** Weights of every type with the values that ggml's own Python package gives them. */
const ggml = JSON.parse(
  readFileSync(new URL('../../../test/reference/weight-types.json', import.meta.url), 'utf8'),
) as { numRows: number; numCols: number; types: Record<WeightType, { bytes: string; values: string }> };

let builds: readonly Kernels[];

before(async () => {
  builds = await createWasmBuilds(CONFIG);
});
after(async () => closeAll(builds));

function ggmlWeights(type: WeightType): RandomWeights {
  const { numRows, numCols, types } = ggml;
  const decode = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(text, 'base64'));
  const values = new Float32Array(decode(types[type].values).buffer);
  return { type, numRows, numCols, bytes: decode(types[type].bytes), values };
}

/** Rows of a table as `embed` gives them. */
async function embeddedRows(
  kernels: Kernels,
  { type, numRows, numCols, bytes }: RandomWeights,
  order: RowOrder,
  rowIds: readonly number[],
): Promise<Float32Array[]> {
  const bench = new RowBench(kernels);
  const table = await kernels.loadMatrix(tensorSource(type, numRows, numCols, bytes), order);
  const activation = kernels.createActivation(numCols, 'step');
  await bench.step(rowIds, [{ table, activation }], () => undefined);
  return bench.rows(activation, rowIds.length);
}

/** Equality of numbers: 0 and -0 are the same. */
function assertEqualRows(actual: readonly Float32Array[], expected: readonly Float32Array[], where: string): void {
  expected.forEach((values, row) => {
    const column = values.findIndex((value, c) => actual[row][c] !== value);
    assert.equal(column, -1, `${where}, row ${row}, column ${column}: ${actual[row][column]}, not ${values[column]}`);
  });
}

for (const type of TYPES) {
  test(`${type}: embedded rows are exactly ggml's values, in any order and more than once, ${BUILDS_TITLE}`, async () => {
    const weights = ggmlWeights(type);
    const rowIds = [3, 0, 2, 2, 1];
    const { numCols, values } = weights;
    const expected = rowIds.map((row) => values.subarray(row * numCols, (row + 1) * numCols));
    for (const kernels of builds) {
      assertEqualRows(await embeddedRows(kernels, weights, { kind: 'file' }, rowIds), expected, buildName(kernels));
    }
  });

  test(`${type}: rows that come as rotary pairs are put apart exactly as by the reference, ${BUILDS_TITLE}`, async () => {
    for (const [headDim, ropeDim] of [
      [16, 16],
      [20, 12],
      [12, 0],
    ]) {
      const weights = randomWeights(type, 3 * headDim, 256);
      const order = { kind: 'interleaved-rope', headDim, ropeDim } as const;
      const rowIds = Array.from({ length: 3 * headDim }, (_, row) => row);
      const expected = await embeddedRows(new ReferenceKernels(CONFIG), weights, order, rowIds);
      for (const kernels of builds) {
        const where = `${buildName(kernels)}, ${ropeDim} of ${headDim} channels`;
        assertEqualRows(await embeddedRows(kernels, weights, order, rowIds), expected, where);
      }
    }
  });
}

test(`vectors of F32, F16 and BF16 are put in the order of their rows exactly as by the reference, ${BUILDS_TITLE}`, async () => {
  const order = { kind: 'interleaved-rope', headDim: 16, ropeDim: 12 } as const;
  for (const type of ['F32', 'F16', 'BF16'] as const) {
    const { bytes } = randomWeights(type, 1, 48);
    const addedToZeros = async (kernels: Kernels): Promise<Float32Array[]> => {
      const bench = new RowBench(kernels);
      const bias = await kernels.loadVector(tensorSource(type, 1, 48, bytes), order);
      const zeros = await bench.exactOperand(floatRows('zero', 1, 48));
      const { weights, out } = await bench.reader(48);
      await bench.step([0], [zeros], () => kernels.matmul(zeros.operand, [{ weights, out, bias }]));
      return bench.rows(out, 1);
    };
    const expected = await addedToZeros(new ReferenceKernels(CONFIG));
    for (const kernels of builds) {
      assertEqualRows(await addedToZeros(kernels), expected, `${type}, ${buildName(kernels)}`);
    }
  }
});

test(`a matrix that is read in several pieces has all its rows in place, in both row orders, ${BUILDS_TITLE}`, async () => {
  // 4.9 MB: tensors are read 4 MB at a time.
  const [numRows, numCols] = [1200, 1024];
  const weights = { type: 'F32' as const, numRows, numCols, ...countingRows(numRows, numCols) };
  const rowIds = Array.from({ length: 60 }, (_, i) => (i * 997) % numRows);
  for (const order of [{ kind: 'file' }, { kind: 'interleaved-rope', headDim: 80, ropeDim: 80 }] as const) {
    const expected = await embeddedRows(new ReferenceKernels(CONFIG), weights, order, rowIds);
    for (const kernels of builds) {
      const where = `${buildName(kernels)}, ${order.kind}`;
      assertEqualRows(await embeddedRows(kernels, weights, order, rowIds), expected, where);
    }
  }
});

function countingRows(numRows: number, numCols: number): { bytes: Uint8Array; values: Float32Array } {
  const values = new Float32Array(numRows * numCols).map((_, i) => i);
  return { bytes: new Uint8Array(values.buffer), values };
}

test('tensors that the kernels cannot multiply are refused with their name and the reason', async () => {
  const [kernels] = builds;
  await assert.rejects(kernels.loadMatrix(f32Tensor(2, 6, new Float32Array(12)), { kind: 'file' }), (error: Error) =>
    /"test\.F32" has 6 columns of F32: the wasm kernels need a multiple of 4/.test(error.message),
  );
  const { bytes } = randomWeights('Q8_0', 1, 32);
  await assert.rejects(kernels.loadVector(tensorSource('Q8_0', 1, 32, bytes), { kind: 'file' }), (error: Error) =>
    /"test\.Q8_0" is of type Q8_0; vectors must be F32, F16 or BF16/.test(error.message),
  );
});
