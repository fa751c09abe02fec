import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { KvShape } from '../../cache/page-layout.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import type { QueryRun } from '../testing/attention-bench.ts';
import { createAttentionCase } from '../testing/attention-bench.ts';
import { assertClose, attendAll, queryRuns, toleranceOf, toleranceTitle } from '../testing/attention-tolerance.ts';
import { TILE_DATA } from '../testing/tile-data.ts';
import {
  buildName,
  BUILDS_TITLE,
  closeAll,
  createWasmBuilds,
  FEWER_BUILDS_TITLE,
  forEachWasmBuild,
} from '../testing/wasm-builds.ts';

function config(formatName: string, shape: KvShape, numHeads: number): KernelsConfig {
  const format = parseKvFormat(formatName, shape.headDim);
  return {
    shape,
    numHeads,
    format,
    ropeFrequencies: [1],
    maxRows: 160,
    maxContext: format.numSinkTokens + 41 * format.pageSize,
    numThreads: 1,
  };
}

const WHOLE_PAGE: QueryRun = { numSealed: 1, firstIndex: 0, numRows: 64 };

for (const format of ['f16', 'q8', 'q4', 'k8v4', 'k4v8', 'k16v4', 'q6', 'q5', 'q3', 'q2', 'q1']) {
  describe(`${format}, 3 query heads of 64 channels to a KV head`, () => {
    const settings = config(format, { numLayers: 1, numKvHeads: 1, headDim: 64 }, 3);
    const { v } = settings.format;
    let builds: readonly Kernels[];
    before(async () => {
      builds = await createWasmBuilds(settings);
    });
    after(async () => closeAll(builds));

    const compare = async (data: string, runs: readonly QueryRun[]): Promise<void> => {
      const attention = createAttentionCase(settings, data, runs);
      const expected = await attendAll(new ReferenceKernels(settings), attention);
      for (const kernels of builds) {
        const actual = await attendAll(kernels, attention);
        assertClose(actual, expected, attention.largestValue, toleranceOf(settings, data), buildName(kernels));
      }
    };

    test(`0 to 40 sealed pages, 1 to 64 tokens of the open page (${toleranceTitle(toleranceOf(settings))}), ${BUILDS_TITLE}`, async () => {
      await compare('Gaussian', [...queryRuns(settings, [0, 1, 7, 8, 9, 17, 40]), WHOLE_PAGE]);
    });

    for (const data of Object.keys(TILE_DATA)) {
      if (data === 'Gaussian' || data === 'huge') continue;
      test(`${data} keys and values (${toleranceTitle(toleranceOf(settings, data))}), ${BUILDS_TITLE}`, async () => {
        await compare(data, queryRuns(settings, [0, 9]));
      });
    }

    test(`huge keys and values: outputs are no larger than values can be, ${BUILDS_TITLE}`, async () => {
      const attention = createAttentionCase(settings, 'huge', queryRuns(settings, [0, 9]));
      // Undoing the rotation of 64 values of one magnitude may put all of it into one channel.
      const most = (v.rotate ? Math.sqrt(64) : 1) * attention.largestValue * 1.01;
      for (const kernels of builds) {
        for (const row of await attendAll(kernels, attention)) {
          assert.ok(
            row.every((value) => Math.abs(value) <= most),
            `${buildName(kernels)}: ${row.join(' ')}`,
          );
        }
      }
    });
  });
}

const SHAPES = [
  ['f16', 16, 4, 4],
  ['q4', 16, 3, 1],
  ['q4', 80, 4, 1],
  ['q8', 80, 6, 2],
  ['f16', 96, 8, 2],
  ['k8v4', 96, 4, 1],
  ['q4', 128, 8, 2],
  ['k4v8', 128, 3, 3],
  ['q8', 256, 4, 1],
  ['k16v4', 256, 3, 1],
  ['q6', 80, 4, 1],
  ['q5', 96, 4, 2],
  ['q3', 96, 3, 1],
  ['q2', 80, 6, 2],
  ['q1', 128, 4, 1],
  ['k3v5', 32, 3, 3],
] as const;

for (const [format, headDim, numHeads, numKvHeads] of SHAPES) {
  const settings = config(format, { numLayers: 2, numKvHeads, headDim }, numHeads);
  const shape = `${numHeads} heads of ${headDim} over ${numKvHeads} KV heads`;
  test(`${format}, ${shape}: attention equals the reference (${toleranceTitle(toleranceOf(settings))}), ${FEWER_BUILDS_TITLE}`, async () => {
    const attention = createAttentionCase(settings, 'Gaussian', queryRuns(settings, [0, 9]));
    const expected = await attendAll(new ReferenceKernels(settings), attention);
    await forEachWasmBuild(settings, async (kernels) => {
      const actual = await attendAll(kernels, attention);
      assertClose(actual, expected, attention.largestValue, toleranceOf(settings), buildName(kernels));
    });
  });
}
