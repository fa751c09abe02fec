import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat, type KvFormat } from '../quant/kv-format.ts';
import type { Kernels, KernelsConfig, PageArena, StepPages } from './kernels.ts';
import { BACKENDS } from './testing/backends.ts';
import { calibratedFormat } from './testing/calibrated-format.ts';
import { MixedBench, type Place, type Span } from './testing/mixed-bench.ts';
import { arenaStepPages, createStepPages, openPageEnd } from './step-pages.ts';

/** A step that mixes formats gives each sequence what it gets alone in kernels made for its format, to the bit. */

const SHAPE = { numLayers: 2, numKvHeads: 2, headDim: 32 };
const NUM_HEADS = 4;
const NUM_TOKENS = 220;
const CALIBRATED = calibratedFormat(parseKvFormat('q4', SHAPE.headDim), SHAPE);
const FORMATS: readonly KvFormat[] = [
  ...['f16', 'q8', 'q4', 'k3v2'].map((name) => parseKvFormat(name, SHAPE.headDim)),
  CALIBRATED,
  // Another calibrated one, which shares its matrices.
  {
    ...CALIBRATED,
    name: 'shared',
    layerBits: [
      { k: 8, v: 8 },
      { k: 1, v: 6 },
    ],
    v: parseKvFormat('q8', SHAPE.headDim).v,
  },
];
/** Formats of the sequences: some twice, neighbours always different. */
const SEQUENCES = [...FORMATS, ...FORMATS.slice(0, 3)];

function configFor(format: KvFormat): KernelsConfig {
  return {
    ...{ shape: SHAPE, numHeads: NUM_HEADS, format, maxContext: NUM_TOKENS, maxRows: 80 * SEQUENCES.length },
    ropeFrequencies: [1, 0.3, 0.1],
    numThreads: 2,
  };
}

const NUM_PAGES = Math.ceil(NUM_TOKENS / 64);

/** Pages for each sequence in memory of the format's own. */
function ownPlaces(kernels: Kernels): Place[] {
  return SEQUENCES.map((format) => {
    const pages = createStepPages(kernels, NUM_PAGES, 1, format);
    return { pages, sealed: [...Array(NUM_PAGES).keys()], open: 0, sink: pages.sink && 0 };
  });
}

/** Pages of all formats in one arena, one directly after the other, pages of sequences and formats in turn. */
function arenaPlaces(kernels: Kernels): { places: Place[]; arena: PageArena } {
  const arena = kernels.createPageArena(16 * 2 ** 20);
  let next = 0;
  const place = ({ layout }: StepPages['open']): number => {
    const first = next;
    next += layout.pageBytes / 64;
    return first;
  };
  const all = SEQUENCES.map((format) => arenaStepPages(kernels, arena, format));
  const sealed = SEQUENCES.map((): number[] => []);
  for (let i = 0; i < NUM_PAGES; i++) all.forEach((pages, sequence) => sealed[sequence].push(place(pages.sealed)));
  const places = all.map((pages, sequence) => ({
    ...{ pages, sealed: sealed[sequence], open: place(pages.open), sink: pages.sink && place(pages.sink) },
  }));
  return { places, arena };
}

/** Two sequences of one format change places, with what lies there. */
function swapPages(kernels: Kernels, arena: PageArena, places: Place[], a: number, b: number): void {
  const spare = arena.numUnits - 1024;
  const swap = (from: number, to: number, { layout }: StepPages['open']): void => {
    const numUnits = layout.pageBytes / 64;
    kernels.copyUnits(arena, from, spare, numUnits);
    kernels.copyUnits(arena, to, from, numUnits);
    kernels.copyUnits(arena, spare, to, numUnits);
  };
  const [first, second] = [places[a], places[b]];
  const { sealed, open, sink } = first.pages;
  first.sealed.forEach((page, i) => swap(page, second.sealed[i], sealed));
  swap(first.open, second.open, open);
  if (sink && first.sink !== undefined && second.sink !== undefined) swap(first.sink, second.sink, sink);
  [places[a], places[b]] = [second, first];
}

/** What a sequence goes through: prefill to the end of each page or up to a chunk, decodes, tokens beside drafts, a page filled by decode. */
const CHUNKS = [30, 64, 1, 1, 3, 17, 64, 1, 1, 1, 9];

/** The steps of a sequence by itself. */
function spansOf(sequence: number): Span[] {
  const spans: Span[] = [];
  let firstPosition = 0;
  for (const chunk of CHUNKS) {
    const numRows = Math.min(chunk, openPageEnd(firstPosition, SEQUENCES[sequence]) - firstPosition);
    spans.push({ sequence, firstPosition, numRows });
    firstPosition += numRows;
  }
  return spans;
}

/** Sequence i takes its chunks i steps later than the first one, so that prefill meets decode. */
function mixedSteps(): Span[][] {
  const all = SEQUENCES.map((_, sequence) => spansOf(sequence));
  const numSteps = SEQUENCES.length + CHUNKS.length;
  return Array.from({ length: numSteps }, (_, step) =>
    all.flatMap((spans, sequence) => spans.slice(Math.max(0, step - sequence), Math.max(0, step - sequence + 1))),
  ).filter((spans) => spans.length > 0);
}

interface Outcome {
  readonly rows: Float32Array[];
  readonly pages: Uint8Array[];
}

async function runAlone(create: (config: KernelsConfig) => Promise<Kernels>, sequence: number): Promise<Outcome> {
  const format = SEQUENCES[sequence];
  const kernels = await create(configFor(format));
  const pages = createStepPages(kernels, NUM_PAGES, 1);
  const places: (Place | undefined)[] = [];
  places[sequence] = { pages, sealed: [...Array(NUM_PAGES).keys()], open: 0, sink: pages.sink && 0 };
  const bench = await MixedBench.create(kernels, places, NUM_TOKENS);
  const rows: Float32Array[] = [];
  const spans = spansOf(sequence);
  for (const span of spans) rows.push(...(await bench.step([span])).flat());
  const result = { rows, pages: await bench.pageBytes(sequence, endOf(spans)) };
  await kernels.close();
  return result;
}

function endOf(spans: readonly Span[]): number {
  const last = spans[spans.length - 1];
  return last.firstPosition + last.numRows;
}

function assertSame(found: Outcome, expected: Outcome, what: string): void {
  assert.equal(found.rows.length, expected.rows.length, what);
  const bits = (row: Float32Array): Buffer => Buffer.from(row.buffer, row.byteOffset, row.byteLength);
  found.rows.forEach((row, i) => assert.ok(bits(row).equals(bits(expected.rows[i])), `${what}: row ${i}`));
  assert.ok(expected.pages.length >= 2);
  assert.deepEqual(found.pages, expected.pages, `${what}: pages`);
}

for (const { name, create } of BACKENDS) {
  const alone = new Map<number, Promise<Outcome>>();
  const expected = (sequence: number): Promise<Outcome> => {
    const outcome = alone.get(sequence) ?? runAlone(create, sequence);
    alone.set(sequence, outcome);
    return outcome;
  };

  for (const [where, placesIn] of [
    ['memory of their own', ownPlaces],
    ['one arena', (kernels: Kernels) => arenaPlaces(kernels).places],
  ] as const) {
    test(`${name}: sequences of many formats in one step, pages in ${where}, have the bits (===) that they have alone`, async () => {
      const kernels = await create(configFor(FORMATS[2]));
      const bench = await MixedBench.create(kernels, placesIn(kernels), NUM_TOKENS);
      const rows = SEQUENCES.map((): Float32Array[] => []);
      for (const spans of mixedSteps()) {
        const found = await bench.step(spans);
        spans.forEach(({ sequence }, i) => rows[sequence].push(...found[i]));
      }
      for (const [sequence, format] of SEQUENCES.entries()) {
        const pages = await bench.pageBytes(sequence, endOf(spansOf(sequence)));
        assertSame({ rows: rows[sequence], pages }, await expected(sequence), `sequence ${sequence}, ${format.name}`);
      }
      await kernels.close();
    });
  }

  test(`${name}: pages that change places in an arena between steps leave the bits (===) as they are`, async () => {
    const kernels = await create(configFor(FORMATS[2]));
    const { places, arena } = arenaPlaces(kernels);
    const bench = await MixedBench.create(kernels, places, NUM_TOKENS);
    const rows = SEQUENCES.map((): Float32Array[] => []);
    const numTwice = SEQUENCES.length - FORMATS.length;
    for (const [index, spans] of mixedSteps().entries()) {
      const found = await bench.step(spans);
      spans.forEach(({ sequence }, i) => rows[sequence].push(...found[i]));
      const sequence = index % numTwice;
      swapPages(kernels, arena, places, sequence, sequence + FORMATS.length);
    }
    for (const [sequence, format] of SEQUENCES.entries()) {
      const pages = await bench.pageBytes(sequence, endOf(spansOf(sequence)));
      assertSame({ rows: rows[sequence], pages }, await expected(sequence), `sequence ${sequence}, ${format.name}`);
    }
    await kernels.close();
  });

  test(`${name}: outcomes of the formats differ, or the comparisons above would show nothing`, async () => {
    const outcomes = await Promise.all(FORMATS.map((_, sequence) => expected(sequence)));
    const last = outcomes.map(({ rows }) => rows[rows.length - 1].join());
    assert.equal(new Set(last).size, FORMATS.length);
  });

  test(`${name}: a format with pages of another length, or bits or matrices for another model, is refused`, async () => {
    const kernels = await create(configFor(FORMATS[2]));
    const short = { ...FORMATS[1], pageSize: 32 };
    const message = 'q8 has pages of 32 tokens, and q4 of 64: formats of the same kernels have pages of one length';
    assert.throws(() => kernels.addFormat(short), new RangeError(message));
    const bits = { ...FORMATS[1], layerBits: [{ k: 8, v: 8 }] as const };
    assert.throws(() => kernels.addFormat(bits), new RangeError('q8 has bits for 1 layers of 2'));
    const narrow = calibratedFormat(FORMATS[2], { ...SHAPE, headDim: 16 });
    assert.throws(() => kernels.addFormat(narrow), /transforms are not 4 matrices of 32 x 32|feedback is not a matrix/);
    await kernels.close();
  });

  test(`${name}: formats are added between steps, and once`, async () => {
    const kernels = await create(configFor(FORMATS[2]));
    const bench = await MixedBench.create(kernels, ownPlaces(kernels), NUM_TOKENS);
    const { scratchBytes } = kernels.memoryUsage();
    for (const format of FORMATS) kernels.addFormat(format);
    assert.equal(kernels.memoryUsage().scratchBytes, scratchBytes);
    const pages = createStepPages(kernels, 1, 1);
    const segment = { firstRow: 0, numRows: 1, firstPosition: 0, sealedPages: [], openPage: 0, sinkPage: 0 };
    kernels.beginStep({ tokenIds: [0], segments: [{ ...segment, pages, sealInto: undefined }], outputRows: [] });
    kernels.addFormat(FORMATS[0]);
    const error = new Error('a step has begun: formats are added between steps');
    assert.throws(() => kernels.addFormat({ ...FORMATS[0] }), error);
    await kernels.finishStep();
    await bench.kernels.close();
  });
}
