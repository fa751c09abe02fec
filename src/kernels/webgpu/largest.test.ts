import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import { RowBench } from '../testing/row-bench.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from '../testing/software-gpu.ts';

/** More than 8 workgroups take at a time, and no multiple of it. */
const WIDTH = 33_008;
const NUM_ROWS = 3;
const CONFIG: KernelsConfig = {
  ...{ shape: { numLayers: 1, numKvHeads: 1, headDim: 16 }, numHeads: 1, format: parseKvFormat('q4', 16) },
  ...{ ropeFrequencies: [1], maxRows: NUM_ROWS, maxContext: 68, numThreads: 1 },
};

/** Gaussian; many equal ones; infinities, NaN and zeros of either sign. */
function rowsOf(): Float32Array[] {
  const normal = normalStream(5);
  const gaussian = Float32Array.from({ length: WIDTH }, () => normal());
  const equal = Float32Array.from({ length: WIDTH }, () => Math.round(normal()));
  const special = new Float32Array(WIDTH).fill(-Infinity);
  special.set([0, -0, -1, Infinity, 3, -Infinity, NaN, 1e-45], 20_000);
  special.set([2, Infinity, -1e38], 32_990);
  return [gaussian, equal, special];
}

/** Indices by value, NaN first, of equal values the lower index first. */
function ranked(row: Float32Array): number[] {
  const order = (a: number, b: number): number => {
    if (Number.isNaN(row[a]) || Number.isNaN(row[b]))
      return Number(Number.isNaN(row[b])) - Number(Number.isNaN(row[a]));
    if (row[a] !== row[b]) return row[b] > row[a] ? 1 : -1;
    return a - b;
  };
  return Array.from(row.keys()).sort(order);
}

test('the largest values of rows come back, in order, and rows do not', { skip: SKIP_WEBGPU }, async () => {
  const kernels = await createSoftwareGpu(CONFIG);
  const bench = new RowBench(kernels);
  const rows = rowsOf();
  const input = await bench.input(rows);
  const out = kernels.createActivation(WIDTH, 'output', 'readable');
  for (const count of [1, 5]) {
    const record = (): void => {
      kernels.selectOutputs(input.activation, out);
      kernels.selectLargest(out, count);
    };
    await bench.step([0, 1, 2], [input], record, [0, 1, 2]);
    rows.forEach((row, index) => {
      const { indices, values } = kernels.readLargest(out, index);
      const expected = ranked(row).slice(0, indices.length);
      assert.ok(indices.length >= count);
      assert.deepEqual([...indices], expected, `row ${index}, the ${count} largest`);
      assert.deepEqual(
        values,
        Float32Array.from(expected, (i) => row[i] + 0),
        `row ${index}, the ${count} largest`,
      );
    });
    assert.throws(() => kernels.readRow(out, 0), /cannot be read: create it as 'readable', and do without/);
  }
  await bench.step([2], [input], () => kernels.selectOutputs(input.activation, out), [0]);
  assert.throws(() => kernels.readLargest(out, 0), /did not select the largest values/);
  assert.deepEqual(kernels.readRow(out, 0), rows[2]);
  await kernels.close();
});
