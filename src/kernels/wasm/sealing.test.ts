import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalStream } from '../../../test/random-data.ts';
import { sealedPageLayout } from '../../cache/page-layout.ts';
import { SEALING_DATA, sealingConfig, sealPages } from '../testing/seal-pages.ts';
import { pageOfData } from '../testing/tile-data.ts';
import { buildName, FEWER_BUILDS_TITLE, forEachWasmBuild } from '../testing/wasm-builds.ts';

const CASES = [
  ['q4', 16],
  ['q4', 64],
  ['q4', 80],
  ['q4', 256],
  ['q8', 16],
  ['q8', 96],
  ['q8', 128],
  ['q6', 64],
  ['q6', 80],
  ['q5', 64],
  ['q5', 96],
  ['q3', 64],
  ['q3', 80],
  ['q2', 64],
  ['q2', 96],
  ['q2', 16],
  ['q1', 64],
  ['q1', 80],
  ['q1', 128],
  ['k6v3', 48],
  ['k8v4', 64],
  ['k4v8', 80],
  ['k16v4', 128],
  ['k4v16', 96],
  ['f16', 64],
] as const;

for (const [format, headDim] of CASES) {
  test(`${format}, heads of ${headDim}: sealed pages are the oracle's, byte by byte, ${FEWER_BUILDS_TITLE}`, async () => {
    const settings = sealingConfig(format, headDim, 1);
    const layout = sealedPageLayout(settings.format, settings.shape);
    const expected = SEALING_DATA.map((data, page) => pageOfData(layout, data, page));
    await forEachWasmBuild(settings, async (kernels) => {
      const sealed = await sealPages(kernels, [0]);
      SEALING_DATA.forEach((data, page) => {
        const at = sealed[page].findIndex((byte, i) => byte !== expected[page][i]);
        const found = `byte ${at} is ${sealed[page][at]}, not ${expected[page][at]}`;
        assert.equal(at, -1, `${buildName(kernels)}, ${data} data: ${found}`);
      });
    });
  });
}

test(`errors fed to other channels: sealed pages are the oracle's, byte by byte, ${FEWER_BUILDS_TITLE}`, async () => {
  for (const [format, headDim] of [
    ['q4', 64],
    ['q2', 80],
    ['k8v4', 16],
    ['k6v3', 48],
    ['q5', 64],
    ['q3', 96],
    ['q1', 64],
  ] as const) {
    const normal = normalStream(headDim);
    const lower = new Float32Array(2 * headDim ** 2).map((_, i) => {
      const [row, col] = [Math.floor((i % headDim ** 2) / headDim), i % headDim];
      return col < row ? (0.5 * normal()) / Math.sqrt(headDim) : 0;
    });
    const settings = sealingConfig(format, headDim, 1, lower);
    const layout = sealedPageLayout(settings.format, settings.shape);
    const expected = SEALING_DATA.map((data, page) => pageOfData(layout, data, page, lower));
    await forEachWasmBuild(settings, async (kernels) => {
      const sealed = await sealPages(kernels, [0]);
      SEALING_DATA.forEach((data, page) => {
        assert.deepEqual(sealed[page], expected[page], `${buildName(kernels)}, ${format}, ${data} data`);
      });
    });
  }
});

const MIXED = [
  { k: 3, v: 16 },
  { k: 5, v: 1 },
] as const;

test(`a layer's sealing leaves the other layers' tiles, and all layers make the oracle's page, of one width or two, ${FEWER_BUILDS_TITLE}`, async () => {
  for (const layerBits of [undefined, MIXED]) {
    const plain = sealingConfig('k8v4', 64, 2);
    const settings = { ...plain, format: { ...plain.format, ...(layerBits && { layerBits }) } };
    const layout = sealedPageLayout(settings.format, settings.shape);
    const expected = SEALING_DATA.map((data, page) => pageOfData(layout, data, page));
    await forEachWasmBuild(settings, async (kernels) => {
      const [first, second, both] = [
        await sealPages(kernels, [0]),
        await sealPages(kernels, [1]),
        await sealPages(kernels, [0, 1]),
      ];
      both.forEach((page, index) => {
        const together = page.map((_, i) => first[index][i] | second[index][i]);
        assert.deepEqual(together, page, `${buildName(kernels)}, ${SEALING_DATA[index]} data`);
        assert.deepEqual(page, expected[index], `${buildName(kernels)}, ${SEALING_DATA[index]} data`);
      });
    });
  }
});
