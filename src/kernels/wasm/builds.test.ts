import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { assertWithin } from '../testing/assert-within.ts';
import { AttentionBench, createAttentionCase } from '../testing/attention-bench.ts';
import { floatRows } from '../testing/float-data.ts';
import { ProductBench } from '../testing/product-bench.ts';
import { closeAll } from '../testing/wasm-builds.ts';
import { randomWeights } from '../testing/weight-data.ts';
import { WEIGHT_TYPES } from '../weight-types.ts';
import type { WeightType } from '../weight-types.ts';
import { createWasmKernels } from './create-wasm-kernels-node.ts';
import type { WasmIsa } from './wasm-module.ts';

const CONFIG: KernelsConfig = {
  shape: { numLayers: 1, numKvHeads: 1, headDim: 64 },
  numHeads: 3,
  format: parseKvFormat('f16', 64),
  ropeFrequencies: [1, 0.1],
  maxRows: 64,
  maxContext: 64 * 18,
  numThreads: 1,
};
const TYPES = Object.keys(WEIGHT_TYPES) as WeightType[];

let relaxed: Kernels;
let pairs: Kernels;
let simd: Kernels;

before(async () => {
  relaxed = await createWasmKernels(CONFIG, 'relaxed SIMD');
  pairs = await createWasmKernels(CONFIG, 'relaxed SIMD in pairs');
  simd = await createWasmKernels(CONFIG, 'SIMD');
});
after(async () => closeAll([relaxed, pairs, simd]));

async function products(kernels: Kernels, type: WeightType): Promise<Float32Array[]> {
  const product = { rows: floatRows('Gaussian', 5, 256), outputs: [{ weights: randomWeights(type, 40, 256) }] };
  const [rows] = await (await ProductBench.load(kernels, product)).run([0, 1, 2, 3, 4]);
  return rows;
}

async function attended(formatName: string, isa: WasmIsa): Promise<Float32Array[]> {
  const config = { ...CONFIG, format: parseKvFormat(formatName, 64) };
  const runs = [0, 1, 9, 16].map((numSealed) => ({ numSealed, firstIndex: 20, numRows: 5 }));
  const kernels = await createWasmKernels(config, isa);
  const rows = await (await AttentionBench.load(kernels, createAttentionCase(config, 'Gaussian', runs))).runAll();
  await kernels.close();
  return rows;
}

function assertRowsWithin(
  actual: readonly Float32Array[],
  expected: readonly Float32Array[],
  relative: number,
  where: string,
): void {
  const largest = Math.max(...expected.map((row) => Math.max(...row.map(Math.abs))));
  expected.forEach((row, i) =>
    assertWithin(
      actual[i],
      row,
      () => relative * largest,
      () => `${where}, row ${i}`,
    ),
  );
}

test('both relaxed builds, one of which is chosen by its speed, have the same bits', async () => {
  for (const type of TYPES) assert.deepEqual(await products(pairs, type), await products(relaxed, type), type);
  for (const format of ['f16', 'q8', 'q4', 'k8v4']) {
    assert.deepEqual(await attended(format, 'relaxed SIMD in pairs'), await attended(format, 'relaxed SIMD'), format);
  }
});

test('products without relaxed SIMD equal those with it (error < 1e-6 of the largest)', async () => {
  for (const type of TYPES) assertRowsWithin(await products(simd, type), await products(relaxed, type), 1e-6, type);
});

test('attention without relaxed SIMD equals that with it (error < 1e-6 of the largest for f16, 6e-5 q8, 2e-3 q4)', async () => {
  // Fused operations differ in the last bit, so that an integer query or weight may round the other way: one step of 16,383 in q8, of 255 in
  // q4, times half the range of the codes.
  for (const [format, relative] of [
    ['f16', 1e-6],
    ['q8', 6e-5],
    ['q4', 2e-3],
  ] as const) {
    assertRowsWithin(await attended(format, 'SIMD'), await attended(format, 'relaxed SIMD'), relative, format);
  }
});
