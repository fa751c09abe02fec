import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { f16PageLayout, sealedPageLayout, type PageLayout, type TileKind } from '../../cache/page-layout.ts';
import type { KernelsConfig } from '../kernels.ts';
import { Pages } from '../reference/pages.ts';
import { SEALING_DATA, sealingConfig, sealPages } from '../testing/seal-pages.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from '../testing/software-gpu.ts';
import { pageOfData } from '../testing/tile-data.ts';

/** A tile's values. */
function valuesOf(layout: PageLayout, bytes: Uint8Array, kind: TileKind): Float64Array {
  const pages = new Pages(layout, 1);
  pages.pageBytes(0).set(bytes);
  return pages.readTile({ page: 0, layer: 0, head: 1, kind }, layout.numTokens);
}

function rootMeanSquare(values: Float64Array, less?: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value, i) => sum + (value - (less?.[i] ?? 0)) ** 2, 0) / values.length);
}

/** A code or a byte of metadata may fall on the other side of a rounding: what counts is that no more is lost of the values. */
async function compareSealing(settings: KernelsConfig, feedback?: Float32Array): Promise<void> {
  const { format, shape } = settings;
  const [layout, openLayout] = [sealedPageLayout(format, shape), f16PageLayout(format.pageSize, shape)];
  const kernels = await createSoftwareGpu(settings);
  const sealed = await sealPages(kernels, [0]);
  SEALING_DATA.forEach((data, page) => {
    const expected = pageOfData(layout, data, page, feedback);
    const numSame = sealed[page].reduce((sum, byte, i) => sum + (byte === expected[i] ? 1 : 0), 0);
    const found = `${numSame} bytes of ${expected.length} are the oracle's`;
    if (data === 'Gaussian') assert.ok(numSame > (feedback ? 0.7 : 0.95) * expected.length, found);
    for (const kind of ['k', 'v'] as const) {
      const exact = valuesOf(openLayout, pageOfData(openLayout, data, page), kind);
      const lost = rootMeanSquare(valuesOf(layout, sealed[page], kind), exact);
      const oracle = rootMeanSquare(valuesOf(layout, expected, kind), exact);
      const bound = 1.02 * oracle + 1e-6 * rootMeanSquare(exact);
      assert.ok(lost <= bound, `${kind}, ${data} data: loses ${lost}, the oracle ${oracle}`);
    }
  });
  await kernels.close();
}

for (const [format, headDim] of [
  ['q4', 64],
  ['q8', 96],
  ['q6', 80],
  ['q5', 16],
  ['k3v2', 64],
  ['k2v1', 80],
  ['k1v3', 128],
  ['k16v4', 32],
  ['f16', 64],
] as const) {
  test(
    `${format}, heads of ${headDim}: sealed pages lose at most 2% more than the oracle's`,
    { skip: SKIP_WEBGPU },
    async () => {
      await compareSealing(sealingConfig(format, headDim, 1));
    },
  );
}

test(
  "q4 with errors fed to other channels: sealed pages lose at most 2% more than the oracle's",
  { skip: SKIP_WEBGPU },
  async () => {
    const [headDim, normal] = [64, normalStream(64)];
    const lower = new Float32Array(2 * headDim ** 2).map((_, i) => {
      const [row, col] = [Math.floor((i % headDim ** 2) / headDim), i % headDim];
      return col < row ? (0.5 * normal()) / Math.sqrt(headDim) : 0;
    });
    await compareSealing(sealingConfig('q4', headDim, 1, lower), lower);
  },
);
