import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Activation, Kernels, KernelsConfig, MatmulOutput } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { assertWithin } from '../testing/assert-within.ts';
import { floatRows } from '../testing/float-data.ts';
import { RowBench } from '../testing/row-bench.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from '../testing/software-gpu.ts';
import { tensorSource } from '../testing/tensor-source.ts';
import { randomWeights } from '../testing/weight-data.ts';

const NUM_ROWS = 20;
const WIDTH = 512;
const ALL_ROWS = Array.from({ length: NUM_ROWS }, (_, row) => row);
const CONFIG: KernelsConfig = {
  ...{ shape: { numLayers: 1, numKvHeads: 1, headDim: 16 }, numHeads: 1, format: parseKvFormat('q4', 16) },
  ...{ ropeFrequencies: [1], maxRows: NUM_ROWS, maxContext: 68, numThreads: 1 },
};

interface DenseShape {
  readonly numQueries: number;
  readonly feedForward: number;
}

/** What one row, and up to four, do in fewer dispatches: norm and three products; norm, two products, SwiGLU. */
class DenseBench {
  readonly #bench: RowBench;
  readonly #record: () => void;
  readonly #outs: readonly Activation[];
  readonly #input: Awaited<ReturnType<RowBench['input']>>;

  static async load(kernels: Kernels, { numQueries, feedForward }: DenseShape): Promise<DenseBench> {
    const bench = new RowBench(kernels);
    const input = await bench.input(floatRows('Gaussian', NUM_ROWS, WIDTH, 1));
    const norm = await bench.vector(floatRows('Gaussian', 1, WIDTH, 2)[0]);
    const normed = [kernels.createOperand(WIDTH, 'step'), kernels.createOperand(WIDTH, 'step')];
    const product = async (numRows: number, seed: number, withBias = false, width = WIDTH): Promise<MatmulOutput> => {
      const { type, numCols, bytes } = randomWeights('Q4_0', numRows, width, seed);
      const weights = await kernels.loadMatrix(tensorSource(type, numRows, numCols, bytes), { kind: 'file' });
      const bias = await bench.vector(floatRows('Gaussian', 1, numRows, seed)[0]);
      return { weights, out: kernels.createActivation(numRows, 'step', 'readable'), ...(withBias && { bias }) };
    };
    const queryKeyValue = [await product(numQueries, 3, true), await product(32, 4, true), await product(32, 5, true)];
    const gateUp = [await product(feedForward, 6), await product(feedForward, 7)];
    const activated = kernels.createOperand(feedForward, 'step');
    // All columns are read one by one, unless the matrix for that would be large.
    const down = feedForward < 1000 ? await bench.reader(feedForward) : await product(64, 8, false, feedForward);
    const record = (): void => {
      kernels.rmsNorm(input.activation, norm, 1e-5, normed[0]);
      kernels.matmul(normed[0], queryKeyValue);
      kernels.rmsNorm(input.activation, norm, 1e-5, normed[1]);
      kernels.matmul(normed[1], gateUp);
      kernels.swiGlu(gateUp[0].out, gateUp[1].out, activated);
      kernels.matmul(activated, [down]);
    };
    return new DenseBench(bench, input, record, [...queryKeyValue.map(({ out }) => out), down.out]);
  }

  private constructor(
    bench: RowBench,
    input: Awaited<ReturnType<RowBench['input']>>,
    record: () => void,
    outs: readonly Activation[],
  ) {
    this.#bench = bench;
    this.#input = input;
    this.#record = record;
    this.#outs = outs;
  }

  /** @returns of each row what all outputs hold, one after another */
  async run(rowIds: readonly number[]): Promise<Float32Array[]> {
    await this.#bench.step(rowIds, [this.#input], this.#record);
    const outputs = this.#outs.map((out) => this.#bench.rows(out, rowIds.length));
    return rowIds.map((_, row) => Float32Array.from(outputs.flatMap((rows) => [...rows[row]])));
  }
}

const title =
  'norm, products and SwiGLU that one dispatch does: of 1 to 4 rows the bits of 20 rows, which are within 4% of the reference';
test(title, { skip: SKIP_WEBGPU }, async () => {
  const shape = { numQueries: 64, feedForward: 80 };
  const kernels = await createSoftwareGpu(CONFIG);
  const bench = await DenseBench.load(kernels, shape);
  const all = await bench.run(ALL_ROWS);
  for (const rowIds of [[0], [19], [3, 1, 7, 2], [5]]) {
    const expected = rowIds.map((row) => all[row]);
    assert.deepEqual(await bench.run(rowIds), expected, `rows ${rowIds.join(', ')}`);
  }
  await kernels.close();
  const exact = await (await DenseBench.load(new ReferenceKernels(CONFIG), shape)).run(ALL_ROWS);
  exact.forEach((row, i) => {
    const tolerance = 0.04 * Math.max(...row.map(Math.abs));
    assertWithin(
      all[i],
      row,
      () => tolerance,
      () => `row ${i}`,
    );
  });
});

test(
  'of more features than workgroups go over at once, a row has the bits of 20 rows',
  { skip: SKIP_WEBGPU },
  async () => {
    const kernels = await createSoftwareGpu(CONFIG);
    const bench = await DenseBench.load(kernels, { numQueries: 8500, feedForward: 8512 });
    const all = await bench.run(ALL_ROWS);
    assert.deepEqual(await bench.run([7]), [all[7]]);
    await kernels.close();
  },
);
