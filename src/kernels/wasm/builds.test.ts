import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { assertWithin } from '../testing/assert-within.ts';
import { AttentionBench, createAttentionCase } from '../testing/attention-bench.ts';
import { floatRows } from '../testing/float-data.ts';
import { ProductBench } from '../testing/product-bench.ts';
import { closeAll, WASM_ISAS } from '../testing/wasm-builds.ts';
import { randomWeights } from '../testing/weight-data.ts';
import { WEIGHT_TYPES } from '../weight-types.ts';
import type { WeightType } from '../weight-types.ts';
import { createWasmKernels } from './create-wasm-kernels-node.ts';
import type { WasmIsa } from './wasm-module.ts';
import { canCompileWide } from './wide-compile-node.ts';

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
let simd: Kernels;
/** With relaxed SIMD, but for the first. */
let rivals: readonly Kernels[];

const RIVALS = WASM_ISAS.filter((isa) => isa.startsWith('relaxed') && isa !== 'relaxed SIMD');

before(async () => {
  relaxed = await createWasmKernels(CONFIG, 'relaxed SIMD');
  simd = await createWasmKernels(CONFIG, 'SIMD');
  rivals = await Promise.all(RIVALS.map((isa) => createWasmKernels(CONFIG, isa)));
});
after(async () => closeAll([relaxed, simd, ...rivals]));

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

test('all builds with relaxed SIMD, of which the fastest is chosen, have the same bits', async () => {
  for (const type of TYPES) {
    const expected = await products(relaxed, type);
    for (const kernels of rivals) {
      assert.deepEqual(await products(kernels, type), expected, `${type}, ${kernels.description.isa}`);
    }
  }
  for (const format of ['f16', 'q8', 'q4', 'k8v4']) {
    const expected = await attended(format, 'relaxed SIMD');
    for (const isa of RIVALS) assert.deepEqual(await attended(format, isa), expected, `${format}, ${isa}`);
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

test('256 bits are compiled for on engines only that have been tested', () => {
  const versions = { ...process.versions, v8: '13.6.233.17-node.50' };
  assert.equal(canCompileWide(versions, 'x64'), true);
  assert.equal(canCompileWide(versions, 'arm64'), false);
  assert.equal(canCompileWide({ ...versions, bun: '1.3.0' }, 'x64'), false);
  assert.equal(canCompileWide({ ...versions, v8: '12.4.254.21-node.33' }, 'x64'), false);
});
