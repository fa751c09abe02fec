import assert from 'node:assert/strict';
import { test } from 'node:test';
import { f16PageLayout, sealedPageLayout } from '../cache/page-layout.ts';
import { parseKvFormat, type KvFormat } from '../quant/kv-format.ts';
import { checkStep, checkTokenIds } from './check-step.ts';
import type { KernelsConfig, PageArena, PageMemory, Segment, Step, StepPages } from './kernels.ts';

const SHAPE = { numLayers: 1, numKvHeads: 1, headDim: 16 };
const CONFIG: KernelsConfig = {
  shape: SHAPE,
  numHeads: 1,
  format: { ...parseKvFormat('q4', 16), pageSize: 32 },
  ropeFrequencies: [],
  maxRows: 40,
  maxContext: 100,
  numThreads: 1,
};
const F16: KvFormat = { ...parseKvFormat('f16', 16), pageSize: 32 };
/** Added to the kernels; another one is not. */
const FORMATS = new Set([CONFIG.format, F16]);

function memory(layout: PageMemory['layout'], numPages: number): PageMemory {
  return { layout, numPages, arena: undefined } as PageMemory;
}

function pagesFor(format: KvFormat): StepPages {
  return {
    format,
    sealed: memory(sealedPageLayout(format, SHAPE), 5),
    open: memory(f16PageLayout(32, SHAPE), 3),
    sink: format.numSinkTokens === 0 ? undefined : memory(f16PageLayout(format.numSinkTokens, SHAPE), 2),
  };
}

const PAGES = pagesFor(CONFIG.format);
const F16_PAGES = pagesFor(F16);

/** A valid segment of q4: positions 40 to 49, the second page open, the first one sealed. */
const SEGMENT: Segment = {
  firstRow: 0,
  numRows: 10,
  firstPosition: 40,
  pages: PAGES,
  sealedPages: [4],
  openPage: 2,
  sinkPage: 1,
  sealInto: undefined,
};

function stepOf(segments: readonly Partial<Segment>[], options: Partial<Step> = {}): Step {
  const full = segments.map((segment) => ({ ...SEGMENT, ...segment }));
  const numRows = full.reduce((sum, segment) => sum + segment.numRows, 0);
  return {
    tokenIds: new Array<number>(numRows).fill(0),
    segments: full,
    outputRows: [numRows - 1],
    ...options,
  };
}

function checkIt(step: Step): void {
  checkStep(step, CONFIG, FORMATS);
}

function assertRefused(step: Step, message: string): void {
  assert.throws(() => checkIt(step), new RangeError(message));
}

test('valid steps pass: within a page, from position 0, filling a page, up to the context, several sequences', () => {
  const start = { firstPosition: 0, sealedPages: [], numRows: 36, sealInto: 0 };
  checkIt(stepOf([{}]));
  checkIt(stepOf([start]));
  checkIt(stepOf([{ ...start, numRows: 35, sealInto: undefined }]));
  checkIt(stepOf([{ firstPosition: 2, numRows: 1, sealedPages: [] }]));
  checkIt(stepOf([{ firstPosition: 67, numRows: 1, sealInto: 0 }]));
  checkIt(stepOf([{ firstPosition: 90, sealedPages: [1, 2], sealInto: 0 }]));
  checkIt(stepOf([{}, { firstRow: 10, openPage: 0, sinkPage: 0 }], { outputRows: [] }));
  const f16 = { firstPosition: 32, pages: F16_PAGES, sinkPage: undefined, numRows: 32, sealInto: 0 };
  checkIt(stepOf([f16]));
  // Pages of another memory are others.
  checkIt(stepOf([{ ...f16, numRows: 8, sealInto: undefined }, { firstRow: 8 }]));
});

test('rows: none, too many, gaps, segments that do not cover them', () => {
  assertRefused(stepOf([]), 'a step has at least one row');
  assertRefused(stepOf([{ numRows: 41 }]), 'a step of 41 rows: at most 40 fit');
  assertRefused(stepOf([{ firstRow: 1 }]), 'segment 0 starts at row 1: row 0 is next');
  assertRefused(stepOf([{}, { firstRow: 11, openPage: 0 }]), 'segment 1 starts at row 11: row 10 is next');
  assertRefused(stepOf([{ numRows: 0 }, {}]), 'segment 0 has 0 rows');
  assertRefused(stepOf([{}], { tokenIds: [1, 2, 3] }), 'segments cover 10 rows of 3');
});

test('positions: negative, beyond the context, beyond the open page', () => {
  assertRefused(stepOf([{ firstPosition: -1 }]), 'segment 0 starts at position -1');
  assertRefused(stepOf([{ firstPosition: 1.5 }]), 'segment 0 starts at position 1.5');
  const late = { firstPosition: 95, sealedPages: [0, 1] };
  assertRefused(stepOf([late]), 'segment 0 ends at position 105, beyond the context of 100');
  assertRefused(stepOf([{ firstPosition: 60 }]), "segment 0 ends at position 70, beyond its open page's end 68");
  const start = { firstPosition: 0, numRows: 37, sealedPages: [] };
  assertRefused(stepOf([start]), "segment 0 ends at position 37, beyond its open page's end 36");
});

test('page indices: number of sealed pages, ranges, sinks', () => {
  const number = 'segment 0 at position 40 names 2 sealed pages: 1 come before its own';
  assertRefused(stepOf([{ sealedPages: [0, 1] }]), number);
  assertRefused(stepOf([{ sealedPages: [5] }]), 'segment 0: sealed page 5 is not in [0, 5)');
  assertRefused(stepOf([{ openPage: 3 }]), 'segment 0: open page 3 is not in [0, 3)');
  assertRefused(stepOf([{ openPage: -1 }]), 'segment 0: open page -1 is not in [0, 3)');
  assertRefused(stepOf([{ sinkPage: 2 }]), 'segment 0: sink page 2 is not in [0, 2)');
  assertRefused(stepOf([{ sinkPage: undefined }]), 'segment 0 names no sink page');
  const f16 = { firstPosition: 32, pages: F16_PAGES, sinkPage: 0 };
  assertRefused(stepOf([f16]), 'segment 0 names a sink page, and the format f16 has none');
  assertRefused(stepOf([{}, { firstRow: 10 }]), 'two segments write to page 2 (openPage)');
});

test('sealing: exactly when the page becomes full, into a page that nothing else uses', () => {
  const full = { firstPosition: 58 };
  assertRefused(stepOf([full]), 'segment 0 fills its open page and does not say where to seal it');
  assertRefused(stepOf([{ sealInto: 0 }]), 'segment 0 is to be sealed and does not fill its open page');
  assertRefused(stepOf([{ ...full, sealInto: 5 }]), 'segment 0: page to seal into 5 is not in [0, 5)');
  assertRefused(stepOf([{ ...full, sealInto: 4 }]), 'segment 0 would seal into page 4, which it reads');
  const both = [
    { ...full, sealInto: 0 },
    { ...full, sealInto: 0, firstRow: 10, openPage: 1 },
  ];
  assertRefused(stepOf(both), 'two segments write to page 0 (sealInto)');
});

test('output rows: beyond the step, not ascending', () => {
  assertRefused(stepOf([{}], { outputRows: [10] }), 'output row 10 is not in [0, 10)');
  assertRefused(stepOf([{}], { outputRows: [3, 3] }), 'output row 3 comes after row 3: they must ascend');
});

test('formats that have not been added, and page memories of another layout', () => {
  const refused = (change: Partial<StepPages>, message: string): void => {
    const other = { ...SEGMENT, firstRow: 10, openPage: 0, sinkPage: 0, pages: { ...PAGES, ...change } };
    assertRefused(stepOf([{}, other]), `segment 1${message}`);
  };
  const q8: KvFormat = { ...parseKvFormat('q8', 16), pageSize: 32 };
  refused({ format: q8 }, ' is in the format q8, which has not been added (addFormat)');
  refused({ format: { ...CONFIG.format } }, ' is in the format q4, which has not been added (addFormat)');
  refused({ sealed: memory(sealedPageLayout(q8, SHAPE), 5) }, ': sealed pages have another layout than q4');
  refused({ open: memory(f16PageLayout(64, SHAPE), 3) }, ': open pages are not f16 pages of 32 tokens');
  refused({ sink: undefined }, ': sink pages are not f16 pages of 4 tokens');
});

test('token ids that are not rows of the table', () => {
  checkTokenIds([0, 9], 10);
  for (const id of [10, -1, 0.5, NaN]) {
    assert.throws(() => checkTokenIds([0, id], 10), new RangeError(`token id ${id} at row 1 is not in [0, 10)`));
  }
});

test('pages of an arena: no two are written at the same unit, in whatever format', () => {
  const arena = { numUnits: 900 } as PageArena;
  const inArena = (pages: StepPages): StepPages => {
    const view = ({ layout }: PageMemory): PageMemory => ({ layout, numPages: 800, arena }) as PageMemory;
    return { ...pages, sealed: view(pages.sealed), open: view(pages.open), sink: pages.sink && view(pages.sink) };
  };
  const quantized = { pages: inArena(PAGES), sealedPages: [300], openPage: 10, sinkPage: 0 };
  const f16 = { pages: inArena(F16_PAGES), sealedPages: [400], openPage: 100, sinkPage: undefined, firstRow: 10 };
  checkIt(stepOf([quantized, f16]));
  assertRefused(stepOf([quantized, { ...f16, openPage: 10 }]), 'two segments write to page 10 (openPage)');
  const full = { firstPosition: 54, sealInto: 10 };
  assertRefused(stepOf([quantized, { ...f16, ...full }]), 'page 10 of an arena is both openPage and sealInto');
  assertRefused(
    stepOf([quantized, { ...f16, ...full, sealInto: 400 }]),
    'segment 1 would seal into page 400, which it reads',
  );
  const both = [
    { ...quantized, firstPosition: 58, sealInto: 500 },
    { ...f16, ...full, sealInto: 500 },
  ];
  assertRefused(stepOf(both), 'two segments write to page 500 (sealInto)');
  // The same numbers in memories of their own are other places.
  checkIt(stepOf([quantized, { ...f16, pages: F16_PAGES, openPage: 2, sealedPages: [4] }]));
  checkIt(stepOf([{}, { ...f16, pages: F16_PAGES, openPage: 2, sealedPages: [4] }]));
});
