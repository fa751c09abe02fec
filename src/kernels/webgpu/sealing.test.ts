import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { sealedPageLayout } from '../../cache/page-layout.ts';
import type { KernelsConfig } from '../kernels.ts';
import { SEALING_DATA, sealingConfig, sealPages } from '../testing/seal-pages.ts';
import { createSoftwareGpu, SKIP_WEBGPU } from '../testing/software-gpu.ts';
import { pageOfData } from '../testing/tile-data.ts';

/** Each kind of data to the byte, so that pages are the same on every device. */
async function compareSealing(settings: KernelsConfig, feedback?: Float32Array): Promise<void> {
  const layout = sealedPageLayout(settings.format, settings.shape);
  const kernels = await createSoftwareGpu(settings);
  const sealed = await sealPages(kernels, [0]);
  SEALING_DATA.forEach((data, page) => {
    assert.deepEqual(sealed[page], pageOfData(layout, data, page, feedback), `${data} data`);
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
  test(`${format}, heads of ${headDim}: sealed pages are the oracle's`, { skip: SKIP_WEBGPU }, async () => {
    await compareSealing(sealingConfig(format, headDim, 1));
  });
}

test("q4 with errors fed to other channels: sealed pages are the oracle's", { skip: SKIP_WEBGPU }, async () => {
  const [headDim, normal] = [64, normalStream(64)];
  const lower = new Float32Array(2 * headDim ** 2).map((_, i) => {
    const [row, col] = [Math.floor((i % headDim ** 2) / headDim), i % headDim];
    return col < row ? (0.5 * normal()) / Math.sqrt(headDim) : 0;
  });
  await compareSealing(sealingConfig('q4', headDim, 1, lower), lower);
});
