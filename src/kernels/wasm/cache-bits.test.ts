import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { CacheDriver } from '../testing/cache-driver.ts';
import { buildName, BUILDS_TITLE, closeAll, createWasmBuilds } from '../testing/wasm-builds.ts';

const HEAD_DIM = 16;
/** Sinks, two pages that are sealed, and part of a third. */
const NUM_TOKENS = 4 + 2 * 64 + 21;

function config(formatName: string): KernelsConfig {
  return {
    shape: { numLayers: 2, numKvHeads: 2, headDim: HEAD_DIM },
    numHeads: 6,
    format: parseKvFormat(formatName, HEAD_DIM),
    ropeFrequencies: Array.from({ length: HEAD_DIM / 2 - 2 }, (_, i) => 1000 ** ((-2 * i) / HEAD_DIM)),
    maxRows: 3 * 68,
    maxContext: NUM_TOKENS,
    numThreads: 1,
  };
}

async function createDriver(kernels: Kernels): Promise<CacheDriver> {
  return CacheDriver.create(kernels, { numSequences: 3, numTokens: NUM_TOKENS });
}

/** A sequence in steps that two others at other positions share, before it and after it. */
async function runBesideOthers(driver: CacheDriver, sequence: number): Promise<Float32Array[]> {
  const [before, after] = [0, 1, 2].filter((other) => other !== sequence);
  await driver.run(before, 60, 500);
  const rows: Float32Array[] = [];
  while (rows.length < NUM_TOKENS) {
    const numTokens = Math.min(9, driver.room(sequence), NUM_TOKENS - rows.length);
    const first = Math.min(2, driver.room(before));
    const step = [
      { sequence: before, numTokens: first },
      { sequence, numTokens },
      { sequence: after, numTokens: Math.min(5, driver.room(after)) },
    ];
    const output = await driver.step(step);
    rows.push(...output.slice(first, first + numTokens));
  }
  return rows;
}

for (const format of ['f16', 'q8', 'q4', 'k16v4', 'q6', 'k5v3', 'q2', 'q1']) {
  describe(`${format}: storing, attention and sealing`, () => {
    let builds: readonly Kernels[];
    /** Rows of sequence 1, run in whole pages by the build of the same index. */
    const expected: Float32Array[][] = [];
    before(async () => {
      builds = await createWasmBuilds(config(format));
      for (const kernels of builds) expected.push(await (await createDriver(kernels)).run(1, NUM_TOKENS, 500));
    });
    after(async () => closeAll(builds));

    test(`rows have the same bits in steps of 1, 7 and 64 tokens and of whole pages, ${BUILDS_TITLE}`, async () => {
      for (const [index, kernels] of builds.entries()) {
        for (const chunk of [1, 7, 64]) {
          const rows = await (await createDriver(kernels)).run(1, NUM_TOKENS, chunk);
          assert.deepEqual(rows, expected[index], `${buildName(kernels)}, steps of ${chunk}`);
        }
      }
    });

    test(`a sequence has the same bits alone and beside two others at other positions, ${BUILDS_TITLE}`, async () => {
      for (const [index, kernels] of builds.entries()) {
        const rows = await runBesideOthers(await createDriver(kernels), 1);
        assert.deepEqual(rows, expected[index], buildName(kernels));
      }
    });

    test('rows have the same bits on 1 and 3 threads', () => {
      for (const isa of new Set(builds.map(({ description }) => description.isa))) {
        const ofIsa = expected.filter((_, index) => builds[index].description.isa === isa);
        for (const rows of ofIsa.slice(1)) assert.deepEqual(rows, ofIsa[0], isa);
      }
    });

    test('pages copied into other kernels continue a sequence with the same bits, on 1 and 3 threads', async () => {
      const [first] = builds;
      const from = await createDriver(first);
      await from.run(1, 100, 500);
      for (const [index, kernels] of builds.entries()) {
        if (kernels.description.isa !== first.description.isa) continue;
        const to = await createDriver(kernels);
        for (const kind of ['sealed', 'open', 'sink'] as const) {
          const [source, target] = [from.pages[kind], to.pages[kind]];
          for (let page = 0; source && target && page < source.numPages; page++) {
            kernels.writePage(target, page, await first.readPage(source, page));
          }
        }
        to.seek(1, 100);
        assert.deepEqual(await to.run(1, NUM_TOKENS, 11), expected[index].slice(100), buildName(kernels));
      }
    });

    test(`pages that another sequence had before give the same bits as fresh ones, ${BUILDS_TITLE}`, async () => {
      for (const [index, kernels] of builds.entries()) {
        const driver = await createDriver(kernels);
        await driver.run(0, NUM_TOKENS, 500);
        driver.takePages(1, 0);
        assert.deepEqual(await driver.run(1, NUM_TOKENS, 500), expected[index], buildName(kernels));
      }
    });
  });
}
