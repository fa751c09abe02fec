import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { assertWithin } from '../testing/assert-within.ts';
import { FLOAT_DATA, floatRows, int8Rows } from '../testing/float-data.ts';
import { ProductBench } from '../testing/product-bench.ts';
import { floatTolerance, productCase, roundingBound, type Tolerance } from '../testing/product-tolerance.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from '../testing/software-gpu.ts';
import { randomWeights } from '../testing/weight-data.ts';
import { WEIGHT_TYPES, type WeightType } from '../weight-types.ts';
import { openGpu } from './create-webgpu-kernels-node.ts';
import { kernelsOn } from './open-kernels.ts';
import { readShaders } from './read-shaders-node.ts';

const NUM_ROWS = 67;
const ALL_ROWS = Array.from({ length: NUM_ROWS }, (_, row) => row);
const CONFIG: KernelsConfig = {
  ...{ shape: { numLayers: 1, numKvHeads: 1, headDim: 16 }, numHeads: 1, format: parseKvFormat('q4', 16) },
  ...{ ropeFrequencies: [1], maxRows: NUM_ROWS, maxContext: 68, numThreads: 1 },
};

async function compareProducts(
  kernels: Kernels,
  type: WeightType,
  rows: readonly Float32Array[],
  tolerance: Tolerance,
): Promise<void> {
  const product = productCase(type, rows);
  const expected = await (await ProductBench.load(new ReferenceKernels(CONFIG), product)).run(ALL_ROWS);
  const bench = await ProductBench.load(kernels, product);
  const all = await bench.run(ALL_ROWS);
  expected.forEach((output, o) =>
    output.forEach((values, row) => {
      const of = product.outputs[o];
      assertWithin(
        all[o][row],
        values,
        (n) => tolerance(rows[row], of, n),
        () => `${type}, output ${o}, row ${row}`,
      );
    }),
  );
  // Few rows take another kernel, or none that shares weights.
  const batch = ALL_ROWS.slice(40, 57);
  for (const rowIds of [[66], [5, 2, 11], [0, 64, 12, 9, 16], batch]) {
    const expectedRows = all.map((output) => rowIds.map((row) => output[row]));
    assert.deepEqual(await bench.run(rowIds), expectedRows, `${type}: bits of rows ${rowIds.join(', ')}`);
  }
}

for (const type of Object.keys(WEIGHT_TYPES) as WeightType[]) {
  const { blockElements } = WEIGHT_TYPES[type];
  // More than one segment of columns, the last one cut short where blocks allow it.
  const widths = [blockElements === 256 ? 768 : 288];
  const title = `${type}: products equal the reference, of rows alone to the bit those of 67 rows`;
  // Integer products of the others are packed as one of these is, and a computed GPU takes 8 s to compile each.
  const isOneOfItsKind = !['Q4_1', 'Q5_0', 'Q5_K'].includes(type);
  if (isOneOfItsKind)
    test(title, { skip: SKIP_WEBGPU }, async () => {
      const kernels = await createSoftwareGpu(CONFIG);
      for (const numCols of widths) {
        if (blockElements > 1) await compareProducts(kernels, type, int8Rows(NUM_ROWS, numCols), floatTolerance);
        const tolerance: Tolerance = (...at) => (blockElements > 1 ? roundingBound(...at) : 0) + floatTolerance(...at);
        await compareProducts(kernels, type, floatRows('Gaussian', NUM_ROWS, numCols), tolerance);
      }
      await kernels.close();
    });

  test(`${type}: products with float32 activations equal the reference`, { skip: SKIP_WEBGPU }, async () => {
    const kernels = await createSoftwareGpu({ ...CONFIG, activations: 'f32' });
    for (const data of Object.keys(FLOAT_DATA)) {
      if (data === 'denormal') continue;
      // A segment's sum runs column by column, which rounds more than sums in lanes.
      const tolerance: Tolerance = (...at) => 2 * floatTolerance(...at);
      await compareProducts(kernels, type, floatRows(data, NUM_ROWS, widths[0]), tolerance);
    }
    await kernels.close();
  });
}

test('of many features, rows alone have the bits of 40 rows', { skip: SKIP_WEBGPU }, async () => {
  const kernels = await createSoftwareGpu(CONFIG);
  const rows = floatRows('Gaussian', 40, 288);
  const bench = await ProductBench.load(kernels, { rows, outputs: [{ weights: randomWeights('Q4_0', 8200, 288) }] });
  const all = await bench.run(rows.map((_, row) => row));
  for (const rowIds of [[39], [3, 1, 38, 2, 0, 21]]) {
    const expected = all.map((output) => rowIds.map((row) => output[row]));
    assert.deepEqual(await bench.run(rowIds), expected, `bits of rows ${rowIds.join(', ')}`);
  }
  await kernels.close();
});

test(
  'matrices that the device does not bind whole give the bits of those that it does',
  { skip: SKIP_WEBGPU },
  async () => {
    // Of several pieces each: the table of rows, too, from which inputs are embedded.
    const rows = floatRows('Gaussian', 200, 288);
    const bias = floatRows('Gaussian', 1, 701, 5)[0];
    for (const type of ['Q4_0', 'F16'] as const) {
      // Of the second two pieces would do, were their rows an even number.
      const outputs = [{ weights: randomWeights(type, 701, 288), bias }, { weights: randomWeights(type, 970, 288, 2) }];
      const product = { rows, outputs };
      const results: Float32Array[][][] = [];
      for (const mostBytes of [undefined, 69_840]) {
        const gpu = await openGpu('any', { mostBytes });
        const kernels = await kernelsOn(gpu, { ...CONFIG, maxRows: 8 }, readShaders);
        const bench = await ProductBench.load(kernels, product);
        for (const rowIds of [[150], [0, 61, 120, 199, 7]]) results.push(await bench.run(rowIds));
        await kernels.close();
      }
      const [alone, together, ...ofPieces] = results;
      assert.ok(alone[0][0].some((value) => value !== 0));
      assert.deepEqual(ofPieces, [alone, together], type);
    }
  },
);

test(
  'of more segments than threads share a feature, a row alone has the bits of 9 rows',
  { skip: SKIP_WEBGPU },
  async () => {
    const kernels = await createSoftwareGpu(CONFIG);
    const rows = floatRows('Gaussian', 9, 14_336);
    const bench = await ProductBench.load(kernels, productCase('Q4_0', rows));
    const all = await bench.run(rows.map((_, row) => row));
    const alone = await bench.run([8]);
    assert.deepEqual(
      alone,
      all.map((output) => [output[8]]),
    );
    await kernels.close();
  },
);
