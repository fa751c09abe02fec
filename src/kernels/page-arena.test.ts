import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16PageLayout, PAGE_UNIT_BYTES, sealedPageLayout } from '../cache/page-layout.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from './kernels.ts';
import { arenaStepPages, createStepPages } from './step-pages.ts';
import { ALL_BACKENDS } from './testing/backends.ts';

const SHAPE = { numLayers: 1, numKvHeads: 1, headDim: 16 };
const CONFIG: KernelsConfig = {
  ...{ shape: SHAPE, numHeads: 1, ropeFrequencies: [], maxRows: 8, maxContext: 100, numThreads: 1 },
  format: parseKvFormat('q4', 16),
};
const SEALED = sealedPageLayout(CONFIG.format, SHAPE);
const SINK = f16PageLayout(4, SHAPE);
const NUM_UNITS = 200;

function bytesOf(length: number, seed: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 7 + (i >> 6) * 13 + seed * 31) % 251);
}

function arenaTest(title: string, run: (kernels: Kernels) => Promise<void>): void {
  for (const { name, skip, create } of ALL_BACKENDS) {
    test(`${name}: ${title}`, { skip }, async () => {
      const kernels = await create(CONFIG);
      await run(kernels);
      await kernels.close();
    });
  }
}

arenaTest('an arena holds pages of several layouts at any unit, and counts as page memory once', async (kernels) => {
  const { pageBytes } = kernels.memoryUsage();
  const arena = kernels.createPageArena(NUM_UNITS * PAGE_UNIT_BYTES);
  assert.equal(arena.numUnits, NUM_UNITS);
  const [sealed, sink] = [kernels.arenaPages(arena, SEALED), kernels.arenaPages(arena, SINK)];
  assert.equal(kernels.memoryUsage().pageBytes - pageBytes, NUM_UNITS * PAGE_UNIT_BYTES);
  assert.equal(sealed.arena, arena);
  const pageUnits = SEALED.pageBytes / PAGE_UNIT_BYTES;
  assert.ok(pageUnits > 4 && pageUnits < 100);
  assert.equal(sealed.numPages, NUM_UNITS - pageUnits + 1);
  assert.equal(sink.numPages, NUM_UNITS - SINK.pageBytes / PAGE_UNIT_BYTES + 1);
  assert.ok((await kernels.readPage(sealed, 0)).every((byte) => byte === 0));

  const [a, b, c] = [bytesOf(SEALED.pageBytes, 1), bytesOf(SINK.pageBytes, 2), bytesOf(SEALED.pageBytes, 3)];
  kernels.writePage(sealed, 3, a);
  kernels.writePage(sink, 3 + pageUnits, b);
  kernels.writePage(sealed, NUM_UNITS - pageUnits, c);
  assert.deepEqual(await kernels.readPage(sealed, 3), a);
  assert.deepEqual(await kernels.readPage(sink, 3 + pageUnits), b);
  assert.deepEqual(await kernels.readPage(sealed, NUM_UNITS - pageUnits), c);
  // The same bytes in another layout.
  assert.deepEqual(await kernels.readPage(sink, 4), a.slice(PAGE_UNIT_BYTES, PAGE_UNIT_BYTES + SINK.pageBytes));
});

arenaTest('units are copied as if by way of another place', async (kernels) => {
  const arena = kernels.createPageArena(NUM_UNITS * PAGE_UNIT_BYTES);
  const sealed = kernels.arenaPages(arena, SEALED);
  const pageUnits = SEALED.pageBytes / PAGE_UNIT_BYTES;
  const page = bytesOf(SEALED.pageBytes, 1);
  kernels.writePage(sealed, 10, page);
  for (const [from, to] of [
    [10, 12],
    [12, 0],
    [0, NUM_UNITS - pageUnits],
    [NUM_UNITS - pageUnits, NUM_UNITS - pageUnits - 1],
  ]) {
    kernels.copyUnits(arena, from, to, pageUnits);
    assert.deepEqual(await kernels.readPage(sealed, to), page, `${from} to ${to}`);
  }
  kernels.copyUnits(arena, NUM_UNITS, 0, 0);
  assert.deepEqual(await kernels.readPage(sealed, 0), page);
});

arenaTest('what lies outside of an arena, and what is no whole unit, is refused', async (kernels) => {
  const refused = (operation: () => unknown, message: string): void =>
    assert.throws(operation, new RangeError(message));
  const whole = 'bytes are not whole units of 64';
  refused(() => kernels.createPageArena(100), `an arena of pages: 100 ${whole}`);
  refused(() => kernels.createPageArena(-64), `an arena of pages: -64 ${whole}`);
  const odd = { ...SINK, pageBytes: 100 };
  refused(() => kernels.createPages(odd, 3), `3 pages: 300 ${whole}`);
  refused(() => kernels.createPages(SINK, 0.3), `0.3 pages: ${0.3 * SINK.pageBytes} ${whole}`);
  const arena = kernels.createPageArena(NUM_UNITS * PAGE_UNIT_BYTES);
  refused(() => kernels.arenaPages(arena, odd), `a page: 100 ${whole}`);
  const sink = kernels.arenaPages(arena, SINK);
  const { numPages } = sink;
  for (const page of [numPages, -1, 0.5]) {
    refused(() => kernels.readPage(sink, page), `page ${page} is not in [0, ${numPages})`);
    refused(() => kernels.writePage(sink, page, new Uint8Array()), `page ${page} is not in [0, ${numPages})`);
  }
  for (const [from, to, count] of [
    [0, NUM_UNITS - 1, 2],
    [NUM_UNITS - 1, 0, 2],
    [-1, 0, 1],
    [0, 0.5, 1],
    [0, 1, -1],
  ]) {
    const message = `${count} units from ${from} to ${to} do not lie in an arena of ${NUM_UNITS}`;
    refused(() => kernels.copyUnits(arena, from, to, count), message);
  }
  const small = kernels.createPageArena(0);
  assert.equal(kernels.arenaPages(small, SINK).numPages, 0);
});

for (const { name, skip, create } of ALL_BACKENDS) {
  test(`${name}: arenas of other kernels, and copies during a step, are refused`, { skip }, async () => {
    const [kernels, other] = [await create(CONFIG), await create(CONFIG)];
    const foreign = new TypeError('this page arena was not created by these kernels');
    const arena = other.createPageArena(6400);
    assert.throws(() => kernels.arenaPages(arena, SINK), foreign);
    assert.throws(() => kernels.copyUnits(arena, 0, 1, 1), foreign);
    const own = kernels.createPageArena(2 ** 20);
    const pages = arenaStepPages(kernels, own, CONFIG.format);
    const openPage = SINK.pageBytes / PAGE_UNIT_BYTES;
    const place = { firstRow: 0, numRows: 1, firstPosition: 0, sealedPages: [], openPage, sinkPage: 0 };
    const segment = { ...place, pages, sealInto: undefined };
    kernels.beginStep({ tokenIds: [0], segments: [segment], outputRows: [] });
    const error = new Error('a step has begun: units are copied between steps');
    assert.throws(() => kernels.copyUnits(own, 0, 1, 1), error);
    await kernels.finishStep();
    kernels.copyUnits(own, 0, 1, 1);
    await kernels.close();
    await other.close();
  });
}

arenaTest('pages of formats in an arena are those that memory of their own has', async (kernels) => {
  const arena = kernels.createPageArena(2 ** 20);
  for (const format of ['f16', 'q8'].map((name) => parseKvFormat(name, 16))) {
    const [found, expected] = [arenaStepPages(kernels, arena, format), createStepPages(kernels, 1, 1, format)];
    assert.equal(found.format, format);
    assert.equal(expected.format, format);
    for (const kind of ['sealed', 'open', 'sink'] as const) {
      assert.deepEqual(found[kind]?.layout, expected[kind]?.layout);
      assert.equal(expected[kind]?.arena, undefined);
    }
  }
});
