import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { f16PageLayout, sealedPageLayout } from '../../cache/page-layout.ts';
import { KvantError } from '../../errors.ts';
import { parseKvFormat } from '../../quant/kv-format.ts';
import type { Activation, KernelsConfig, Matrix, Operand, Segment, Step, StepPages } from '../kernels.ts';
import { ReferenceKernels } from '../reference/reference-kernels.ts';
import { PageBench } from '../testing/page-bench.ts';
import { f32Tensor, tensorSource } from '../testing/tensor-source.ts';
import { randomWeights } from '../testing/weight-data.ts';
import { createWasmKernels } from './create-wasm-kernels-node.ts';
import type { WasmKernels } from './wasm-kernels.ts';

const FILE = { kind: 'file' } as const;
const CONFIG: KernelsConfig = {
  shape: { numLayers: 1, numKvHeads: 1, headDim: 16 },
  numHeads: 2,
  format: parseKvFormat('q4', 16),
  ropeFrequencies: [1],
  maxRows: 8,
  maxContext: 256,
  numThreads: 2,
};

let kernels: WasmKernels;
let pages: StepPages;
let table: Matrix;
let x: Activation;
let operand: Operand;

before(async () => {
  kernels = await createWasmKernels(CONFIG);
  pages = new PageBench(kernels, 2, 2).pages;
  table = await kernels.loadMatrix(
    f32Tensor(
      4,
      32,
      new Float32Array(128).map((_, i) => i),
    ),
    FILE,
  );
  x = kernels.createActivation(32, 'step');
  operand = kernels.createOperand(32, 'step');
});
after(async () => kernels.close());

const SEGMENT: Omit<Segment, 'pages'> = {
  firstRow: 0,
  numRows: 2,
  firstPosition: 0,
  sealedPages: [],
  openPage: 0,
  sinkPage: 0,
  sealInto: undefined,
};

function stepOf(change: Partial<Segment> = {}, tokenIds: readonly number[] = [3, 1]): Step {
  return { tokenIds, segments: [{ ...SEGMENT, pages, ...change }], outputRows: [] };
}

/** That an operation is refused within a step, and that the step can be finished all the same. */
async function assertRefused(operation: () => void, error: Error): Promise<void> {
  kernels.beginStep(stepOf());
  assert.throws(operation, error);
  await kernels.finishStep();
}

test('description and configuration tell what runs', () => {
  assert.equal(kernels.description.name, 'wasm');
  assert.equal(kernels.description.threads, 2);
  assert.match(kernels.description.isa, /^(relaxed SIMD|relaxed SIMD in pairs|SIMD)(, 256 bits)?$/);
  assert.equal(kernels.config.maxRows, 8);
});

test('handles of other kernels are refused', async () => {
  const other = new ReferenceKernels(CONFIG);
  const foreign = {
    matrix: await other.loadMatrix(f32Tensor(4, 32, new Float32Array(128)), FILE),
    vector: await other.loadVector(f32Tensor(1, 32, new Float32Array(32)), FILE),
    activation: other.createActivation(32, 'step'),
    operand: other.createOperand(32, 'step'),
    pages: other.createPages(f16PageLayout(64, CONFIG.shape), 1),
  };
  const made = (noun: string): TypeError => new TypeError(`this ${noun} was not created by these kernels`);
  await assertRefused(() => kernels.embed(foreign.matrix, x), made('matrix'));
  await assertRefused(() => kernels.embed(table, foreign.activation), made('activation'));
  await assertRefused(() => kernels.rmsNorm(x, foreign.vector, 0, operand), made('vector'));
  await assertRefused(() => kernels.normHeads(x, foreign.vector, 0), made('vector'));
  await assertRefused(() => kernels.swiGlu(x, x, foreign.operand), made('operand'));
  assert.throws(() => kernels.readPage(foreign.pages, 0), made('page memory'));
  assert.throws(() => kernels.readRow(foreign.activation, 0), made('activation'));
});

test('buffers of wrong widths, unknown layers and unknown tokens are refused', async () => {
  const narrow = kernels.createActivation(31, 'step');
  const needed = (what: string): RangeError =>
    new RangeError(`${what}: [step rows, 31] where [step rows, 32] is needed`);
  await assertRefused(() => kernels.embed(table, narrow), needed('embedding'));
  await assertRefused(() => kernels.swiGlu(x, narrow, operand), needed('SwiGLU input'));
  await assertRefused(() => kernels.attend(0, narrow, operand), needed('queries'));
  const wide = new RangeError('keys: [step rows, 32] where [step rows, 16] is needed');
  await assertRefused(() => kernels.storeKeysValues(0, x, x, x), wide);
  await assertRefused(() => kernels.sealTiles(1), new RangeError('layer 1 is not in [0, 1)'));
  kernels.beginStep(stepOf({}, [3, 4]));
  assert.throws(() => kernels.embed(table, x), new RangeError('token id 4 at row 1 is not in [0, 4)'));
  await kernels.finishStep();
});

test('steps that break a rule are refused, and a right one runs afterwards', async () => {
  const cases: [Step, RegExp][] = [
    [stepOf({}, new Array<number>(9).fill(0)), /a step of 9 rows: at most 8 fit/],
    [stepOf({ firstRow: 1 }), /segment 0 starts at row 1: row 0 is next/],
    [stepOf({ firstPosition: 67 }), /beyond its open page's end 68/],
    [stepOf({ firstPosition: 68 }), /names 0 sealed pages: 1 come before its own/],
    [stepOf({ firstPosition: 66 }), /fills its open page and does not say where to seal it/],
    [stepOf({ openPage: 2 }), /open page 2 is not in \[0, 2\)/],
    [stepOf({ sinkPage: undefined }), /names no sink page/],
  ];
  for (const [step, message] of cases) assert.throws(() => kernels.beginStep(step), message);
  kernels.beginStep(stepOf());
  kernels.embed(table, x);
  await kernels.finishStep();
  assert.equal(kernels.readRow(x, 0)[0], 96);
});

test('operations outside a step, and a step within a step, are refused', async () => {
  const none = new KvantError('ENGINE_FAILED', 'no step has begun');
  assert.throws(() => kernels.embed(table, x), none);
  assert.throws(() => kernels.sealTiles(0), none);
  await assert.rejects(kernels.finishStep(), none);
  kernels.beginStep(stepOf());
  assert.throws(() => kernels.beginStep(stepOf()), /a step has begun already: finish it first/);
  await kernels.finishStep();
});

test('rows and pages that do not exist, and bytes of another length, are refused', async () => {
  kernels.beginStep(stepOf());
  await kernels.finishStep();
  assert.throws(() => kernels.readRow(x, 2), new RangeError('row 2 is not in [0, 2)'));
  assert.throws(() => kernels.readPage(pages.open, 2), new RangeError('page 2 is not in [0, 2)'));
  const { pageBytes } = pages.open.layout;
  const short = new RangeError(`7 bytes for a page of ${pageBytes}`);
  assert.throws(() => kernels.writePage(pages.open, 0, new Uint8Array(7)), short);
});

test('a page that was read is a copy', () => {
  const before = kernels.readPage(pages.open, 1);
  kernels.readPage(pages.open, 1).fill(255);
  assert.deepEqual(kernels.readPage(pages.open, 1), before);
  kernels.writePage(
    pages.open,
    1,
    before.map((_, i) => i % 251),
  );
  assert.equal(before[1], 0);
  assert.equal(kernels.readPage(pages.open, 1)[252], 1);
});

test('memory usage counts weights and pages to the byte, and the rest as scratch', async () => {
  const before = kernels.memoryUsage();
  const { bytes } = randomWeights('Q8_0', 13, 64);
  await kernels.loadMatrix(tensorSource('Q8_0', 13, 64, bytes), FILE);
  const layout = sealedPageLayout(CONFIG.format, CONFIG.shape);
  kernels.createPages(layout, 3);
  const { weightBytes, pageBytes, scratchBytes } = kernels.memoryUsage();
  // Strips of 8 rows: 16 rows of 2 blocks of 34 bytes.
  assert.equal(weightBytes - before.weightBytes, 16 * 2 * 34);
  assert.equal(pageBytes - before.pageBytes, 3 * layout.pageBytes);
  assert.ok(scratchBytes >= before.scratchBytes && scratchBytes < before.scratchBytes + 5e6);
});

test('what memory cannot hold, and what contradicts itself, is refused before anything runs', async () => {
  await assert.rejects(
    createWasmKernels({ ...CONFIG, maxContext: 1e10 }),
    (error) =>
      error instanceof KvantError && error.code === 'OUT_OF_MEMORY' && /Use a smaller model/.test(error.message),
  );
  await assert.rejects(
    createWasmKernels({ ...CONFIG, numHeads: 3, shape: { ...CONFIG.shape, numKvHeads: 2 } }),
    new RangeError('3 heads do not share 2 KV heads evenly'),
  );
});

test('closed kernels refuse to begin a step or to load', async () => {
  const closed = await createWasmKernels(CONFIG);
  const bench = new PageBench(closed, 1, 1);
  await closed.close();
  const error = new KvantError('ENGINE_CLOSED', 'the wasm kernels have been closed');
  assert.throws(() => closed.beginStep(stepOf({ pages: bench.pages })), error);
  await assert.rejects(closed.loadMatrix(f32Tensor(1, 4, [1, 2, 3, 4]), FILE), error);
});
