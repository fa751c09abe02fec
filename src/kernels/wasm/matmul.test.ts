import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { assertWithin } from '../testing/assert-within.ts';
import { FLOAT_DATA, floatRows, int8Rows } from '../testing/float-data.ts';
import { ProductBench } from '../testing/product-bench.ts';
import {
  floatTolerance,
  productCase,
  roundingBound,
  roundingVariance,
  type Tolerance,
} from '../testing/product-tolerance.ts';
import { buildName, BUILDS_TITLE, closeAll, createWasmBuilds } from '../testing/wasm-builds.ts';
import { randomWeights } from '../testing/weight-data.ts';
import type { WeightType } from '../weight-types.ts';
import { WEIGHT_TYPES } from '../weight-types.ts';

const CONFIG: KernelsConfig = {
  shape: { numLayers: 1, numKvHeads: 1, headDim: 16 },
  numHeads: 1,
  format: parseKvFormat('f16', 16),
  ropeFrequencies: [1],
  maxRows: 17,
  maxContext: 64,
  numThreads: 1,
};
const TYPES = Object.keys(WEIGHT_TYPES) as WeightType[];
const QUANTIZED = TYPES.filter((type) => WEIGHT_TYPES[type].blockElements > 1);
const NUM_ROWS = 17;
const ALL_ROWS = Array.from({ length: NUM_ROWS }, (_, row) => row);
let int8Builds: readonly Kernels[];
let f32Builds: readonly Kernels[];

before(async () => {
  int8Builds = await createWasmBuilds(CONFIG);
  f32Builds = await createWasmBuilds({ ...CONFIG, activations: 'f32' });
});
after(async () => closeAll([...int8Builds, ...f32Builds]));

function columnsOf(type: WeightType): number[] {
  const { blockElements } = WEIGHT_TYPES[type];
  return [20, 32, 96, 256, 288, 768].filter((numCols) => numCols % blockElements === 0);
}

async function compareProducts(
  builds: readonly Kernels[],
  type: WeightType,
  rows: readonly Float32Array[],
  tolerance: Tolerance,
): Promise<void> {
  const product = productCase(type, rows);
  const expected = await (await ProductBench.load(new ReferenceKernels(CONFIG), product)).run(ALL_ROWS);
  const tolerances = product.outputs.map((output) =>
    rows.map((x) => Float64Array.from({ length: output.weights.numRows }, (_, n) => tolerance(x, output, n))),
  );
  for (const kernels of builds) {
    const actual = await (await ProductBench.load(kernels, product)).run(ALL_ROWS);
    expected.forEach((output, o) =>
      output.forEach((values, row) => {
        const where = (): string => `${buildName(kernels)}: ${rows[0].length} columns, output ${o}, row ${row}`;
        assertWithin(actual[o][row], values, (n) => tolerances[o][row][n], where);
      }),
    );
  }
}

for (const type of QUANTIZED) {
  test(`${type}: products of what int8 represents equal the reference (error < 1e-6 of sum |w x|), ${BUILDS_TITLE}`, async () => {
    for (const numCols of columnsOf(type)) {
      await compareProducts(int8Builds, type, int8Rows(NUM_ROWS, numCols), floatTolerance);
    }
  });

  for (const data of Object.keys(FLOAT_DATA)) {
    test(`${type}: products of ${data} rows (error < half a step of 1/127 of 16 values' largest, ${BUILDS_TITLE})`, async () => {
      const tolerance: Tolerance = (...at) => roundingBound(...at) + floatTolerance(...at);
      for (const numCols of columnsOf(type).slice(-2)) {
        await compareProducts(int8Builds, type, floatRows(data, NUM_ROWS, numCols), tolerance);
      }
    });
  }
}

for (const type of TYPES) {
  test(`${type}: products with float32 activations equal the reference (error < 1e-6 of sum |w x|), ${BUILDS_TITLE}`, async () => {
    // Float weights are multiplied with float32 activations either way.
    const builds = QUANTIZED.includes(type) ? f32Builds : int8Builds;
    for (const data of Object.keys(FLOAT_DATA)) {
      for (const numCols of data === 'Gaussian' ? columnsOf(type) : columnsOf(type).slice(0, 1)) {
        await compareProducts(builds, type, floatRows(data, NUM_ROWS, numCols), floatTolerance);
      }
    }
  });

  test(`${type}: rows have the same bits in batches of 1, 3, 4, 5 and 17 rows, ${BUILDS_TITLE}`, async () => {
    const product = productCase(type, floatRows('Gaussian', NUM_ROWS, 768));
    for (const kernels of [...int8Builds, ...f32Builds]) {
      const bench = await ProductBench.load(kernels, product);
      const all = await bench.run(ALL_ROWS);
      for (const rowIds of [[16], [5, 2, 11], [0, 1, 2, 3], [12, 9, 16, 4, 7]]) {
        const batch = await bench.run(rowIds);
        const expected = all.map((output) => rowIds.map((row) => output[row]));
        assert.deepEqual(batch, expected, buildName(kernels));
      }
    }
  });
}

for (const type of TYPES) {
  test(`${type}: float32 products with unit rows are the weights themselves, exactly, ${BUILDS_TITLE}`, async () => {
    const numCols = columnsOf(type).at(-1) ?? 0;
    const weights = randomWeights(type, 21, numCols);
    const columns = ALL_ROWS.map((row) => (row * 157) % numCols);
    const rows = columns.map((column) => new Float32Array(numCols).fill(1, column, column + 1));
    for (const kernels of QUANTIZED.includes(type) ? f32Builds : int8Builds) {
      const [actual] = await (await ProductBench.load(kernels, { rows, outputs: [{ weights }] })).run(ALL_ROWS);
      columns.forEach((column, row) => {
        // A sum that begins with 0 is never -0.
        const expected = Float32Array.from({ length: 21 }, (_, n) => 0 + weights.values[n * numCols + column]);
        assert.deepEqual(actual[row], expected, `${buildName(kernels)}, column ${column}`);
      });
    }
  });
}

test(`float32 products of 67 rows, more than have their sums kept at a time, have the bits of each alone, ${BUILDS_TITLE}`, async () => {
  const builds = await createWasmBuilds({
    ...CONFIG,
    format: parseKvFormat('q4', 16),
    maxRows: 67,
    maxContext: 68,
    activations: 'f32',
  });
  const rowIds = Array.from({ length: 67 }, (_, row) => row);
  for (const kernels of builds) {
    for (const type of ['F32', 'Q4_1'] as const) {
      const bench = await ProductBench.load(kernels, productCase(type, floatRows('Gaussian', 67, 288)));
      const all = await bench.run(rowIds);
      for (const row of [0, 5, 63, 64, 66]) {
        const alone = await bench.run([row]);
        assert.deepEqual(
          alone,
          all.map((output) => [output[row]]),
          buildName(kernels),
        );
      }
    }
  }
  await closeAll(builds);
});

test(`Gaussian rows lose no more than rounding with a scale for 16 values must (root mean square within 10%, ${BUILDS_TITLE})`, async () => {
  const rows = floatRows('Gaussian', NUM_ROWS, 768);
  const product = { rows, outputs: [{ weights: randomWeights('Q8_0', 40, 768) }] };
  const [expected] = await (await ProductBench.load(new ReferenceKernels(CONFIG), product)).run(ALL_ROWS);
  for (const kernels of int8Builds) {
    const [actual] = await (await ProductBench.load(kernels, product)).run(ALL_ROWS);
    let [squares, predicted] = [0, 0];
    rows.forEach((x, row) =>
      actual[row].forEach((value, n) => {
        squares += (value - expected[row][n]) ** 2;
        predicted += roundingVariance(x, product.outputs[0], n);
      }),
    );
    const ratio = Math.sqrt(squares / predicted);
    assert.ok(ratio > 0.9 && ratio < 1.1, `${buildName(kernels)}: ${ratio} of what is predicted`);
  }
});
