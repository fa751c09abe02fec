import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16PageLayout, sealedPageLayout } from '../../cache/page-layout.ts';
import type { TileKind } from '../../cache/page-layout.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { KernelsConfig, PageMemory } from '../kernels.ts';
import { CacheDriver } from '../testing/cache-driver.ts';
import type { CacheDriverOptions } from '../testing/cache-driver.ts';
import { Pages } from './pages.ts';
import { ReferenceKernels } from './reference-kernels.ts';

const PAGE_SIZE = 32;
const NUM_TOKENS = 2 * PAGE_SIZE + 11;
const FORMATS = ['f16', 'q8', 'q4', 'k8v4', 'k16v4', 'k4v16', 'k6v3', 'k5v2', 'q1'];

function config(formatName: string, headDim: number): KernelsConfig {
  return {
    shape: { numLayers: 2, numKvHeads: 2, headDim },
    numHeads: 6,
    format: { ...parseKvFormat(formatName, headDim), pageSize: PAGE_SIZE },
    ropeFrequencies: Array.from({ length: headDim / 2 - 2 }, (_, i) => 1000 ** ((-2 * i) / headDim)),
    maxRows: 3 * PAGE_SIZE,
    maxContext: NUM_TOKENS,
    numThreads: 1,
  };
}

async function setUp(
  formatName: string,
  headDim: number,
  options: Partial<CacheDriverOptions> = {},
): Promise<{ kernels: ReferenceKernels; driver: CacheDriver }> {
  const kernels = new ReferenceKernels(config(formatName, headDim));
  const driver = await CacheDriver.create(kernels, { numSequences: 1, numTokens: NUM_TOKENS, ...options });
  return { kernels, driver };
}

/** A head's tokens as its sequence's pages hold them now: sink and open page in f16, the rest sealed. */
function storedTokens(
  kernels: ReferenceKernels,
  driver: CacheDriver,
  numTokens: number,
  head: number,
  kind: TileKind,
): Float64Array[] {
  const { format, shape } = kernels.config;
  const { numSinkTokens, pageSize } = format;
  const numSealed = Math.floor(Math.max(0, numTokens - 1 - numSinkTokens) / pageSize);
  const decode = (memory: PageMemory, page: number, isSealed: boolean): Float64Array[] => {
    const length = memory.layout.numTokens;
    const layout = isSealed ? sealedPageLayout(format, shape) : f16PageLayout(length, shape);
    const copy = new Pages(layout, 1);
    copy.pageBytes(0).set(kernels.readPage(memory, page));
    const tile = copy.readTile({ page: 0, layer: 1, head, kind }, length);
    return Array.from({ length }, (_, t) => tile.subarray(t * shape.headDim, (t + 1) * shape.headDim));
  };
  const { sink, sealed, open } = driver.pages;
  return [
    ...(sink ? decode(sink, 0, false) : []),
    ...driver.sealedPages(0, numSealed).flatMap((page) => decode(sealed, page, true)),
    ...decode(open, 0, false),
  ].slice(0, numTokens);
}

/** y[i] = sum of (-1)^(ones in i & j) x[j] / sqrt(n): the rotation as a matrix. */
function rotate(x: readonly number[]): number[] {
  const sign = (i: number, j: number): number => ((i & j).toString(2).replaceAll('0', '').length % 2 === 0 ? 1 : -1);
  return x.map((_, i) => x.reduce((sum, value, j) => sum + sign(i, j) * value, 0) / Math.sqrt(x.length));
}

/** RoPE through complex numbers. */
function turn(x: readonly number[], position: number, frequencies: readonly number[]): number[] {
  const half = frequencies.length;
  const result = [...x];
  frequencies.forEach((frequency, i) => {
    const radius = Math.hypot(x[i], x[i + half]);
    const angle = Math.atan2(x[i + half], x[i]) + position * frequency;
    result[i] = radius * Math.cos(angle);
    result[i + half] = radius * Math.sin(angle);
  });
  return result;
}

function headOf(table: Float32Array, width: number, row: number, head: number, headDim: number): number[] {
  const start = row * width + head * headDim;
  return [...table.subarray(start, start + headDim)];
}

function naiveOutput(kernels: ReferenceKernels, driver: CacheDriver, position: number, head: number): number[] {
  const { shape, numHeads, format, ropeFrequencies } = kernels.config;
  const kvHead = Math.floor((head * shape.numKvHeads) / numHeads);
  const keys = storedTokens(kernels, driver, position + 1, kvHead, 'k');
  const values = storedTokens(kernels, driver, position + 1, kvHead, 'v');
  const query = turn(
    headOf(driver.tables.q, numHeads * shape.headDim, position, head, shape.headDim),
    position,
    ropeFrequencies,
  );
  const q = format.k.rotate ? rotate(query) : query;
  const weights = keys.map((key) => Math.exp(key.reduce((sum, k, c) => sum + k * q[c], 0) / Math.sqrt(shape.headDim)));
  const total = weights.reduce((a, b) => a + b);
  const output = q.map((_, c) => weights.reduce((sum, weight, t) => sum + (weight / total) * values[t][c], 0));
  return format.v.rotate ? rotate(output) : output;
}

for (const headDim of [16, 48]) {
  for (const name of FORMATS) {
    test(`${name}, D = ${headDim}: attention equals a naive softmax over pages (absolute error < 1e-6)`, async () => {
      const { kernels, driver } = await setUp(name, headDim);
      for (let position = 0; position < NUM_TOKENS;) {
        const numTokens = Math.min(5, driver.room(0), NUM_TOKENS - position);
        // A step that fills a page leaves it sealed, and its queries have seen it open: nothing to compare with.
        const fills = numTokens === driver.room(0);
        const rows = await driver.step([{ sequence: 0, numTokens }], 1);
        position += numTokens;
        if (fills) continue;
        for (let head = 0; head < 6; head++) {
          naiveOutput(kernels, driver, position - 1, head).forEach((value, c) => {
            const actual = rows[numTokens - 1][head * headDim + c];
            assert.ok(
              Math.abs(actual - value) < 1e-6,
              `position ${position - 1}, head ${head}: ${actual}, not ${value}`,
            );
          });
        }
      }
    });
  }

  test(`D = ${headDim}: keys are turned, then rotated, values rotated, in f16 (error < 2^-10 of a head)`, async () => {
    const { kernels, driver } = await setUp('q4', headDim);
    const { format, ropeFrequencies } = kernels.config;
    const numTokens = 21;
    await driver.run(0, numTokens, 8, 1);
    for (const kind of ['k', 'v'] as const) {
      for (let head = 0; head < 2; head++) {
        const stored = storedTokens(kernels, driver, numTokens, head, kind);
        stored.forEach((actual, position) => {
          const raw = headOf(driver.tables[kind], 2 * headDim, position, head, headDim);
          const turned = kind === 'k' ? turn(raw, position, ropeFrequencies) : raw;
          const expected = format[kind].rotate ? rotate(turned) : turned;
          const largest = Math.max(...expected.map(Math.abs));
          expected.forEach((value, c) => assert.ok(Math.abs(actual[c] - value) < largest * 2 ** -10));
        });
      }
    }
  });
}

test('a page is sealed from the f16 values that its open page held, in the layer alone that ran', async () => {
  const { kernels, driver } = await setUp('k8v4', 48);
  const { shape, format } = kernels.config;
  await driver.run(0, format.numSinkTokens + PAGE_SIZE, 100, 1);
  const open = new Pages(f16PageLayout(PAGE_SIZE, shape), 1);
  open.pageBytes(0).set(kernels.readPage(driver.pages.open, 0));
  const expected = new Pages(sealedPageLayout(format, shape), 1);
  for (let head = 0; head < 2; head++) {
    for (const kind of ['k', 'v'] as const) {
      const place = { page: 0, layer: 1, head, kind };
      expected.writeTile(place, Float32Array.from(open.readTile(place, PAGE_SIZE)));
    }
  }
  assert.deepEqual(kernels.readPage(driver.pages.sealed, 0), expected.pageBytes(0));
});

test('rows have the same bits in steps of 1, 7, 32 tokens and of whole pages', async () => {
  for (const name of ['f16', 'q4']) {
    const outputs: Float32Array[][] = [];
    for (const chunk of [1, 7, 32, 100]) {
      const { driver } = await setUp(name, 16);
      outputs.push(await driver.run(0, NUM_TOKENS, chunk));
    }
    for (const output of outputs.slice(1)) assert.deepEqual(output, outputs[0]);
  }
});

test('a sequence has the same bits alone and beside two others at other positions', async () => {
  const { driver: alone } = await setUp('q4', 16, { numSequences: 3 });
  const expected = await alone.run(1, NUM_TOKENS, 100);
  const { driver } = await setUp('q4', 16, { numSequences: 3 });
  await driver.run(0, 40, 100);
  await driver.run(2, 7, 100);
  const rows: Float32Array[] = [];
  while (rows.length < NUM_TOKENS) {
    const numTokens = Math.min(9, driver.room(1), NUM_TOKENS - rows.length);
    const others = [0, 2].filter((sequence) => driver.room(sequence) > 0 && rows.length < 30);
    const spans = others.map((sequence) => ({ sequence, numTokens: Math.min(3, driver.room(sequence)) }));
    const output = await driver.step([...spans.slice(0, 1), { sequence: 1, numTokens }, ...spans.slice(1)]);
    const first = spans.length === 0 ? 0 : spans[0].numTokens;
    rows.push(...output.slice(first, first + numTokens));
  }
  assert.deepEqual(rows, expected);
});

test('pages that are copied into other kernels continue a sequence with the same bits', async () => {
  const { kernels, driver } = await setUp('q4', 16, { numSequences: 2 });
  await driver.run(0, 50, 100);
  const { kernels: other, driver: restored } = await setUp('q4', 16, { numSequences: 2 });
  // Another sequence has been there before: decoded tiles of its pages must not be used again.
  restored.takePages(1, 0);
  await restored.run(1, 60, 100);
  for (const kind of ['sealed', 'open', 'sink'] as const) {
    const [from, to] = [driver.pages[kind], restored.pages[kind]];
    assert.ok(from && to);
    for (let page = 0; page < from.numPages; page++) other.writePage(to, page, kernels.readPage(from, page));
  }
  restored.seek(0, 50);
  assert.deepEqual(await restored.run(0, NUM_TOKENS, 4), await driver.run(0, NUM_TOKENS, 4));
});

test('pages that another sequence had before give the same bits as fresh ones', async () => {
  const { driver: fresh } = await setUp('q4', 16, { numSequences: 2 });
  const { driver } = await setUp('q4', 16, { numSequences: 2 });
  await driver.run(0, NUM_TOKENS, 100);
  driver.takePages(1, 0);
  assert.deepEqual(await driver.run(1, NUM_TOKENS, 100), await fresh.run(1, NUM_TOKENS, 100));
});

test('zeros, outlier channels, huge values and denormals give finite outputs', async () => {
  const fills: [string, (channel: number, normal: () => number) => number][] = [
    ['zeros', () => 0],
    ['outliers', (channel, normal) => normal() * (channel % 16 === 3 ? 40 : 1)],
    ['huge', (channel, normal) => (channel % 5 === 0 ? 1e6 * normal() : normal())],
    ['denormals', (_, normal) => normal() * 1e-7],
  ];
  for (const [what, fill] of fills) {
    const { driver } = await setUp('q4', 16, { fill });
    for (const row of await driver.run(0, NUM_TOKENS, 100)) assert.ok(row.every(Number.isFinite), what);
  }
});
