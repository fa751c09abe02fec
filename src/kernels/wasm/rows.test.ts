import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { assertWithin } from '../testing/assert-within.ts';
import { FLOAT_DATA, floatRows } from '../testing/float-data.ts';
import { RowBench } from '../testing/row-bench.ts';
import { buildName, BUILDS_TITLE, closeAll, createWasmBuilds } from '../testing/wasm-builds.ts';

const CONFIG: KernelsConfig = {
  shape: { numLayers: 1, numKvHeads: 1, headDim: 16 },
  numHeads: 1,
  format: parseKvFormat('f16', 16),
  ropeFrequencies: [1],
  maxRows: 17,
  maxContext: 64,
  numThreads: 1,
};
const NUM_ROWS = 17;
const ALL_ROWS = Array.from({ length: NUM_ROWS }, (_, row) => row);
/** Widths with and without whole groups of 32; 576 is that of SmolLM2-135M. */
const WIDTHS = [20, 32, 576];
/** What denormal results may be off by: their step, 2^-149, times a norm's weight. */
const DENORMAL_STEPS = 4 * 2 ** -149;

let builds: readonly Kernels[];

before(async () => {
  builds = await createWasmBuilds(CONFIG);
});
after(async () => closeAll(builds));

type Run = (bench: RowBench, rowIds: readonly number[]) => Promise<Float32Array[]>;

type Tolerance = (expected: number, row: number, column: number) => number;

/** Every value against the reference's, and the bits of rows in another batch. */
async function compareRows(load: (bench: RowBench) => Promise<Run>, tolerance: Tolerance, what: string): Promise<void> {
  const reference = new RowBench(new ReferenceKernels(CONFIG));
  const expected = await (await load(reference))(reference, ALL_ROWS);
  for (const kernels of builds) {
    const bench = new RowBench(kernels);
    const run = await load(bench);
    const actual = await run(bench, ALL_ROWS);
    expected.forEach((values, row) => {
      const where = (): string => `${buildName(kernels)}, ${what}, row ${row}`;
      assertWithin(actual[row], values, (column) => tolerance(values[column], row, column), where);
    });
    assert.deepEqual(await run(bench, [4, 16, 9]), [actual[4], actual[16], actual[9]], buildName(kernels));
  }
}

const normTolerance: Tolerance = (expected) => 1e-6 * Math.abs(expected) + DENORMAL_STEPS;

function loadRmsNorm(rows: readonly Float32Array[], epsilon: number): (bench: RowBench) => Promise<Run> {
  const width = rows[0].length;
  return async (bench) => {
    const x = await bench.input(rows);
    const weight = await bench.vector(floatRows('Gaussian', 1, width, 9)[0]);
    const normed = bench.kernels.createOperand(width, 'step');
    const reader = await bench.reader(width);
    return async (_, rowIds) => {
      await bench.step(rowIds, [x], () => {
        bench.kernels.rmsNorm(x.activation, weight, epsilon, normed);
        bench.kernels.matmul(normed, [reader]);
      });
      return bench.rows(reader.out, rowIds.length);
    };
  };
}

for (const data of Object.keys(FLOAT_DATA)) {
  test(`rmsNorm of ${data} rows (relative error < 1e-6), ${BUILDS_TITLE}`, async () => {
    for (const width of WIDTHS) {
      await compareRows(loadRmsNorm(floatRows(data, NUM_ROWS, width), 1e-5), normTolerance, `width ${width}`);
    }
  });
}

test(`rmsNorm of one large value among small ones, from 1e-30 to 1e37 (relative error < 1e-6), ${BUILDS_TITLE}`, async () => {
  for (const width of WIDTHS) {
    const rows = floatRows('Gaussian', NUM_ROWS, width).map((row, i) => {
      const unit = 10 ** Math.min(37, -30 + 5 * i);
      return row.map((value, c) => (c === i ? unit : value * unit * 1e-3));
    });
    await compareRows(loadRmsNorm(rows, 1e-6), normTolerance, `width ${width}`);
  }
});

function loadNormHeads(rows: readonly Float32Array[], headDim: number): (bench: RowBench) => Promise<Run> {
  return async (bench) => {
    const x = await bench.input(rows);
    const weight = await bench.vector(floatRows('Gaussian', 1, headDim, 9)[0]);
    return async (_, rowIds) => {
      await bench.step(rowIds, [x], () => bench.kernels.normHeads(x.activation, weight, 1e-6));
      return bench.rows(x.activation, rowIds.length);
    };
  };
}

/** Head sizes, and how many of them: one, no power of two, the least there is, those of SmolLM2-135M's queries. */
const HEADS = [
  [128, 1],
  [96, 4],
  [4, 3],
  [64, 9],
] as const;

for (const data of Object.keys(FLOAT_DATA)) {
  test(`normHeads of ${data} rows (relative error < 1e-6), ${BUILDS_TITLE}`, async () => {
    for (const [headDim, numHeads] of HEADS) {
      const rows = floatRows(data, NUM_ROWS, headDim * numHeads);
      await compareRows(loadNormHeads(rows, headDim), normTolerance, `${numHeads} heads of ${headDim}`);
    }
  });
}

test(`normHeads of heads that differ in size from 1e-30 to 1e37, none changing another (relative error < 1e-6), ${BUILDS_TITLE}`, async () => {
  const rows = floatRows('Gaussian', NUM_ROWS, 5 * 32).map((row) =>
    row.map((value, c) => value * [1, 1e37, 1e-30, 0, 1e15][Math.floor(c / 32)]),
  );
  await compareRows(loadNormHeads(rows, 32), normTolerance, '5 heads of 32');
});

function swiGluTolerance(gates: readonly Float32Array[], ups: readonly Float32Array[]): Tolerance {
  return (expected, row, column) => {
    const product = Math.abs(gates[row][column] * ups[row][column]);
    return 3e-6 * Math.abs(expected) + 1e-38 * product + DENORMAL_STEPS;
  };
}

function loadSwiGlu(gates: readonly Float32Array[], ups: readonly Float32Array[]): (bench: RowBench) => Promise<Run> {
  const width = gates[0].length;
  return async (bench) => {
    const [gate, up] = [await bench.input(gates), await bench.input(ups)];
    const product = bench.kernels.createOperand(width, 'step');
    const reader = await bench.reader(width);
    return async (_, rowIds) => {
      await bench.step(rowIds, [gate, up], () => {
        bench.kernels.swiGlu(gate.activation, up.activation, product);
        bench.kernels.matmul(product, [reader]);
      });
      return bench.rows(reader.out, rowIds.length);
    };
  };
}

for (const data of Object.keys(FLOAT_DATA)) {
  test(`swiGlu of ${data} rows (relative error < 3e-6, or 1e-38 of gate x up), ${BUILDS_TITLE}`, async () => {
    for (const width of WIDTHS) {
      // Where up is huge the gate is not, so that products stay finite.
      const gates = floatRows(data === 'huge' ? 'outlier' : data, NUM_ROWS, width, 3);
      const ups = floatRows(data, NUM_ROWS, width, 4);
      await compareRows(loadSwiGlu(gates, ups), swiGluTolerance(gates, ups), `width ${width}`);
    }
  });
}

test(`swiGlu with gates from -1e4 to 1e4 (relative error < 3e-6, or 1e-38 of gate x up), ${BUILDS_TITLE}`, async () => {
  const values = [0, 1e-30, 0.5, 1, 8, 20, 80, 87, 88, 89, 100, 103.9, 126, 500, 1e4].flatMap((gate) => [gate, -gate]);
  const gates = ALL_ROWS.map(() => new Float32Array(32).map((_, c) => values[c] ?? 2));
  const ups = floatRows('Gaussian', NUM_ROWS, 32);
  await compareRows(loadSwiGlu(gates, ups), swiGluTolerance(gates, ups), 'width 32');
});

test(`selected rows have the bits of their rows, ${BUILDS_TITLE}`, async () => {
  for (const data of Object.keys(FLOAT_DATA)) {
    const rows = floatRows(data, NUM_ROWS, 20);
    for (const kernels of builds) {
      const bench = new RowBench(kernels);
      const x = await bench.input(rows);
      const selected = kernels.createActivation(20, 'output');
      for (const outputRows of [[], [0], [16], [1, 2, 7, 15], ALL_ROWS]) {
        await bench.step(ALL_ROWS, [x], () => kernels.selectOutputs(x.activation, selected), outputRows);
        const expected = outputRows.map((row) => rows[row]);
        assert.deepEqual(bench.rows(selected, outputRows.length), expected, buildName(kernels));
      }
    }
  }
});
