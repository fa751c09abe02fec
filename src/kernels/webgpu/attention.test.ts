import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KvShape } from '../../cache/page-layout.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { AttentionBench, createAttentionCase, type RunPart } from '../testing/attention-bench.ts';
import { assertClose, attendAll, queryRuns, toleranceOf, toleranceTitle } from '../testing/attention-tolerance.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from '../testing/software-gpu.ts';
import { TILE_DATA } from '../testing/tile-data.ts';
import { openGpu } from './create-webgpu-kernels-node.ts';
import { kernelsOn } from './open-kernels.ts';
import { readShaders } from './read-shaders-node.ts';

function config(formatName: string, shape: KvShape, numHeads: number, maxPages = 41): KernelsConfig {
  const format = parseKvFormat(formatName, shape.headDim);
  return {
    ...{ shape, numHeads, format, ropeFrequencies: [1], maxRows: 160, numThreads: 1 },
    maxContext: format.numSinkTokens + maxPages * format.pageSize,
  };
}

for (const [format, headDim, numHeads, numKvHeads] of [
  ['f16', 64, 3, 1],
  ['k8v4', 96, 4, 1],
  ['q4', 80, 4, 1],
  ['q8', 128, 8, 2],
  ['k4v16', 16, 7, 1],
  ['q2', 128, 4, 1],
  ['q1', 128, 10, 1],
  ['k3v5', 32, 3, 3],
] as const) {
  const settings = config(format, { numLayers: 2, numKvHeads, headDim }, numHeads);
  const shape = `${numHeads} heads of ${headDim} over ${numKvHeads} KV heads`;
  const title = `${format}, ${shape}: attention equals the reference (${toleranceTitle(toleranceOf(settings))})`;
  test(title, { skip: SKIP_WEBGPU }, async () => {
    const attention = createAttentionCase(settings, 'Gaussian', queryRuns(settings, [0, 1, 9]));
    const expected = await attendAll(new ReferenceKernels(settings), attention);
    const kernels = await createSoftwareGpu(settings);
    assertClose(await attendAll(kernels, attention), expected, attention.largestValue, toleranceOf(settings), format);
    await kernels.close();
  });
}

test(
  'units of one, two and four pages, and a last one of fewer: attention equals the reference',
  { skip: SKIP_WEBGPU },
  async () => {
    const settings = config('q4', { numLayers: 1, numKvHeads: 1, headDim: 32 }, 2, 140);
    const runs = [63, 64, 127, 128, 139].map((numSealed) => ({ numSealed, firstIndex: 20, numRows: 1 }));
    const attention = createAttentionCase(settings, 'Gaussian', runs);
    const expected = await attendAll(new ReferenceKernels(settings), attention);
    const kernels = await createSoftwareGpu(settings);
    assertClose(await attendAll(kernels, attention), expected, attention.largestValue, toleranceOf(settings), 'q4');
    await kernels.close();
  },
);

test('more units than a grid has in one dimension: attention equals the reference', { skip: SKIP_WEBGPU }, async () => {
  const settings = config('q4', { numLayers: 1, numKvHeads: 1, headDim: 32 }, 2);
  const attention = createAttentionCase(settings, 'Gaussian', [{ numSealed: 7, firstIndex: 20, numRows: 9 }]);
  const expected = await attendAll(new ReferenceKernels(settings), attention);
  // Of 9 rows: units over a sink page, over two or three parts of the open one, and over 7 sealed pages.
  const kernels = await kernelsOn(await openGpu('any', { mostWorkgroups: 25 }), settings, readShaders);
  assertClose(await attendAll(kernels, attention), expected, attention.largestValue, toleranceOf(settings), 'q4');
  await kernels.close();
});

for (const [format, headDim] of [
  ['q4', 64],
  ['f16', 32],
] as const) {
  test(`${format}, without subgroups: attention equals the reference`, { skip: SKIP_WEBGPU }, async () => {
    const settings = config(format, { numLayers: 1, numKvHeads: 1, headDim }, 4);
    const attention = createAttentionCase(settings, 'Gaussian', queryRuns(settings, [0, 3]));
    const expected = await attendAll(new ReferenceKernels(settings), attention);
    const kernels = await kernelsOn(await openGpu('any', { withoutSubgroups: true }), settings, readShaders);
    assertClose(await attendAll(kernels, attention), expected, attention.largestValue, toleranceOf(settings), format);
    await kernels.close();
  });
}

for (const format of ['q8', 'q4']) {
  const settings = config(format, { numLayers: 1, numKvHeads: 1, headDim: 64 }, 3);
  test(`${format}: attention to outliers, zeros, denormals equals the reference`, { skip: SKIP_WEBGPU }, async () => {
    const kernels = await createSoftwareGpu(settings);
    for (const data of Object.keys(TILE_DATA)) {
      if (data === 'Gaussian' || data === 'huge') continue;
      const attention = createAttentionCase(settings, data, queryRuns(settings, [0, 9]));
      const expected = await attendAll(new ReferenceKernels(settings), attention);
      const found = await attendAll(kernels, attention);
      assertClose(found, expected, attention.largestValue, toleranceOf(settings, data), `${format}, ${data}`);
    }
    await kernels.close();
  });

  test(`${format}: a query has the same bits alone, in pieces and beside others`, { skip: SKIP_WEBGPU }, async () => {
    const kernels = await createSoftwareGpu(settings);
    const runs = [
      { numSealed: 17, firstIndex: 12, numRows: 1 },
      { numSealed: 9, firstIndex: 30, numRows: 34 },
      { numSealed: 0, firstIndex: 3, numRows: 9 },
      { numSealed: 8, firstIndex: 62, numRows: 2 },
    ];
    const bench = await AttentionBench.load(kernels, createAttentionCase(settings, 'Gaussian', runs));
    const all = await bench.runAll();
    const parts = runs.flatMap(({ numRows }, run): RunPart[] =>
      Array.from({ length: Math.ceil(numRows / 5) }, (_, i) => {
        return { run, firstRow: 5 * i, numRows: Math.min(5, numRows - 5 * i) };
      }),
    );
    for (const part of parts) {
      const expected = bench.rowIdsOf(part).map((row) => all[row]);
      assert.deepEqual(await bench.run([part]), expected, `run ${part.run} from row ${part.firstRow} on`);
    }
    await kernels.close();
  });
}
