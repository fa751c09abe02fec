import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16Value } from '../../quant/f16.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Kernels, KernelsConfig } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { assertWithin, largestMagnitude } from '../testing/assert-within.ts';
import { FLOAT_DATA, floatRows } from '../testing/float-data.ts';
import type { Placement } from '../testing/page-bench.ts';
import { PageBench } from '../testing/page-bench.ts';
import { RowBench } from '../testing/row-bench.ts';
import { buildName, FEWER_BUILDS_TITLE, forEachWasmBuild } from '../testing/wasm-builds.ts';

const SHAPE = { numLayers: 2, numKvHeads: 2 };
const NUM_HEADS = 6;
const LAYER = 1;

function config(formatName: string, headDim: number, ropeDim: number): KernelsConfig {
  return {
    shape: { ...SHAPE, headDim },
    numHeads: NUM_HEADS,
    format: parseKvFormat(formatName, headDim),
    ropeFrequencies: Array.from({ length: ropeDim / 2 }, (_, i) => 10_000 ** ((-2 * i) / ropeDim)),
    maxRows: 32,
    maxContext: 8192,
    numThreads: 1,
  };
}

/** A new sequence with its sinks, one that fills its page, and one far on; not in the order of their pages. */
function placements({ format }: KernelsConfig): Placement[] {
  const { numSinkTokens, pageSize } = format;
  const far = numSinkTokens + 120 * pageSize + 17;
  return [
    { firstPosition: 0, numRows: 9, openPage: 2, sealedPages: [] },
    { firstPosition: numSinkTokens + pageSize - 5, numRows: 5, openPage: 0, sealedPages: [], sealInto: 1 },
    { firstPosition: far, numRows: 3, openPage: 1, sealedPages: new Array<number>(120).fill(0) },
  ];
}

interface Stored {
  readonly q: Float32Array[];
  /** Every page's halves: open pages, then sink pages. */
  readonly pages: Uint16Array[];
}

async function store(kernels: Kernels, data: string): Promise<Stored> {
  const { shape } = kernels.config;
  const bench = new PageBench(kernels, 2, 3);
  const rows = new RowBench(kernels);
  const numRows = 17;
  const keyWidth = shape.numKvHeads * shape.headDim;
  const q = await rows.input(floatRows(data, numRows, NUM_HEADS * shape.headDim, 1));
  const k = await rows.input(floatRows(data, numRows, keyWidth, 2));
  const v = await rows.input(floatRows(data, numRows, keyWidth, 3));
  const rowIds = Array.from({ length: numRows }, (_, row) => row);
  await bench.step(placements(kernels.config), rowIds, [q, k, v], () => {
    kernels.storeKeysValues(LAYER, q.activation, k.activation, v.activation);
  });
  const pages = [bench.pages.open, bench.pages.sink].flatMap((memory) =>
    Array.from({ length: memory?.numPages ?? 0 }, (_, page) => memory && kernels.readPage(memory, page)),
  );
  const halves = pages.map((bytes) => new Uint16Array((bytes as Uint8Array<ArrayBuffer>).buffer));
  return { q: rows.rows(q.activation, numRows), pages: halves };
}

/** Place of a half among all halves in ascending order. */
function rank(half: number): number {
  return half & 0x8000 ? -(half & 0x7fff) : half;
}

/** Values to the bit, keys within a half's step or, where turning cancels, 1e-6 of their head. */
function assertPages(actual: readonly Uint16Array[], expected: readonly Uint16Array[], d: number, where: string): void {
  expected.forEach((page, index) => {
    const numTokens = page.length / (SHAPE.numLayers * SHAPE.numKvHeads * 2 * d);
    for (let first = 0; first < page.length; first += d) {
      const head = page.subarray(first, first + d);
      const isKey = Math.floor(first / (numTokens * d)) % 2 === 0;
      const slack = isKey ? 1e-6 * largestMagnitude(Array.from(head, f16Value)) : 0;
      head.forEach((half, i) => {
        const found = actual[index][first + i];
        if (found === half) return;
        const isNear = isKey && (Math.abs(rank(found) - rank(half)) <= 1 || errorOf(found, half) <= slack);
        const what = `${where}, page ${index}, ${isKey ? 'key' : 'value'} at ${first + i}`;
        assert.ok(isNear, `${what}: ${f16Value(found)}, not ${f16Value(half)}`);
      });
    }
  });
}

function errorOf(found: number, half: number): number {
  return Math.abs(f16Value(found) - f16Value(half));
}

/** 1e-6 of the head's largest, and for denormals, which have a least step, a step a channel. */
function assertQueries(
  actual: readonly Float32Array[],
  expected: readonly Float32Array[],
  d: number,
  where: string,
): void {
  expected.forEach((row, index) => {
    for (let first = 0; first < row.length; first += d) {
      const head = row.subarray(first, first + d);
      const tolerance = 1e-6 * largestMagnitude(head) + d * 2 ** -149;
      assertWithin(
        actual[index].subarray(first, first + d),
        head,
        () => tolerance,
        () => `${where}, query row ${index}`,
      );
    }
  });
}

const CASES = [
  ['f16', 16, 16],
  ['q4', 16, 8],
  ['q4', 64, 64],
  ['k16v4', 64, 48],
  ['k4v16', 64, 64],
  ['q8', 80, 32],
  ['q4', 96, 96],
  ['q4', 128, 128],
  ['q8', 256, 64],
] as const;

for (const [format, headDim, ropeDim] of CASES) {
  const what = `${format}, heads of ${headDim} turned by ${ropeDim}`;
  test(`${what}: values stored to the bit, keys within a step of f16 or 1e-6 of their head, q within 1e-6, ${FEWER_BUILDS_TITLE}`, async () => {
    const settings = config(format, headDim, ropeDim);
    const expected = new Map<string, Stored>();
    for (const data of Object.keys(FLOAT_DATA)) expected.set(data, await store(new ReferenceKernels(settings), data));
    await forEachWasmBuild(settings, async (kernels) => {
      for (const [data, { q, pages }] of expected) {
        const actual = await store(kernels, data);
        const where = `${buildName(kernels)}, ${data} data`;
        assertPages(actual.pages, pages, headDim, where);
        assertQueries(actual.q, q, headDim, where);
      }
    });
  });
}

test(`keys and values beyond the largest half are stored as 65504, ${FEWER_BUILDS_TITLE}`, async () => {
  await forEachWasmBuild(config('f16', 64, 2), async (kernels) => {
    const { pages } = await store(kernels, 'huge');
    const magnitudes = new Set([...pages[0].subarray(-128)].map((half) => half & 0x7fff));
    assert.deepEqual(magnitudes, new Set([0x7bff]), buildName(kernels));
  });
});
