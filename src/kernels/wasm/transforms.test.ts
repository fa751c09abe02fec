import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inverse, Matrix } from 'ml-matrix';
import { normalStream } from '../../../test/random-data.ts';
import type { HeadTransforms } from '../../quant/head-transform.ts';
import { parseKvFormat, type KvFormat, type TileBits } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { CacheDriver } from '../testing/cache-driver.ts';
import { buildName, FEWER_BUILDS_TITLE, forEachWasmBuild } from '../testing/wasm-builds.ts';

const SHAPE = { numLayers: 3, numKvHeads: 2 };
const NUM_TOKENS = 4 + 3 * 64 + 21;

function config(format: KvFormat, headDim: number): KernelsConfig {
  return {
    shape: { ...SHAPE, headDim },
    numHeads: 6,
    format,
    ropeFrequencies: Array.from({ length: headDim / 2 }, (_, i) => 1000 ** ((-2 * i) / headDim)),
    maxRows: 68,
    maxContext: NUM_TOKENS,
    numThreads: 1,
  };
}

/** Matrices that are far from orthogonal, and well enough conditioned. */
function randomTransforms(headDim: number, seed: number): HeadTransforms {
  const normal = normalStream(seed);
  const size = headDim * headDim;
  const forward = new Float32Array(SHAPE.numLayers * SHAPE.numKvHeads * size).map((_, i) => {
    const [row, col] = [Math.floor((i % size) / headDim), i % headDim];
    return (row === col ? 1 + (row % 3) : 0) + (0.5 * normal()) / Math.sqrt(headDim);
  });
  const inverses = new Float32Array(forward.length);
  for (let start = 0; start < forward.length; start += size) {
    const matrix = Matrix.from1DArray(headDim, headDim, forward.subarray(start, start + size));
    inverses.set(inverse(matrix).to1DArray(), start);
  }
  return { headDim, forward, inverse: inverses };
}

function withTransforms(name: string, headDim: number, layerBits?: KvFormat['layerBits']): KvFormat {
  const format = parseKvFormat(name, headDim);
  return {
    ...format,
    k: { ...format.k, transforms: randomTransforms(headDim, 1) },
    v: { ...format.v, transforms: randomTransforms(headDim, 2) },
    ...(layerBits && { layerBits }),
  };
}

async function rowsOf(kernels: Kernels, layer: number, chunk: number): Promise<Float32Array[]> {
  const driver = await CacheDriver.create(kernels, { numSequences: 1, numTokens: NUM_TOKENS });
  return driver.run(0, NUM_TOKENS, chunk, layer);
}

/** Root mean square of the difference over that of the values. */
function relativeError(actual: readonly Float32Array[], expected: readonly Float32Array[]): number {
  let [errors, values] = [0, 0];
  actual.forEach((row, i) => {
    row.forEach((value, c) => {
      errors += (value - expected[i][c]) ** 2;
      values += expected[i][c] ** 2;
    });
  });
  return Math.sqrt(errors / values);
}

const MIXED: readonly { k: TileBits; v: TileBits }[] = [
  { k: 8, v: 3 },
  { k: 5, v: 16 },
  { k: 6, v: 8 },
];

for (const [name, headDim, layerBits, most] of [
  ['f16', 64, undefined, 1e-3],
  ['q8', 64, undefined, 1e-3],
  ['q8', 80, undefined, 1e-3],
  ['q8', 16, MIXED, 2e-2],
] as const) {
  const mixed = layerBits ? ', bits by layer' : '';
  test(`${name} with a matrix for each head of ${headDim}${mixed}: the reference's output within ${most}, ${FEWER_BUILDS_TITLE}`, async () => {
    const settings = config(withTransforms(name, headDim, layerBits), headDim);
    const expected: Float32Array[][] = [];
    for (let layer = 0; layer < SHAPE.numLayers; layer++) {
      expected.push(await rowsOf(new ReferenceKernels(settings), layer, 68));
    }
    await forEachWasmBuild(settings, async (kernels) => {
      for (let layer = 0; layer < SHAPE.numLayers; layer++) {
        const rows = await rowsOf(kernels, layer, 68);
        const error = relativeError(rows, expected[layer]);
        assert.ok(error < most, `${buildName(kernels)}, layer ${layer}: ${error}`);
        assert.deepEqual(await rowsOf(kernels, layer, 7), rows, `${buildName(kernels)}, layer ${layer}, steps of 7`);
      }
    });
  });
}

test('in f16 transforms change nothing but roundings: attention is that of untransformed heads', async () => {
  const settings = config(withTransforms('f16', 64), 64);
  const plain = await rowsOf(new ReferenceKernels({ ...settings, format: parseKvFormat('f16', 64) }), 1, 68);
  const error = relativeError(await rowsOf(new ReferenceKernels(settings), 1, 68), plain);
  assert.ok(error < 2e-3, `${error}`);
});

test('matrices of another shape are refused', () => {
  const format = withTransforms('q4', 32);
  const message = /transforms are not 6 matrices of 64 x 64/;
  assert.throws(() => new ReferenceKernels(config(format, 64)), message);
});
