import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kernels, KernelsConfig, MatmulOutput } from '../kernels/kernels.ts';
import { ReferenceKernels } from '../kernels/reference/reference-kernels.ts';
import { f32Tensor } from '../kernels/testing/tensor-source.ts';
import { createWasmKernels } from '../kernels/wasm/create-wasm-kernels-node.ts';
import { parseKvFormat } from '../quant/kv-format.ts';
import { AttentionDriver, type QueryRows } from './attention-driver.ts';

const HEAD_DIM = 64;
const NUM_HEADS = 2;
const NUM_TOKENS = 200;

function config(kv: string): KernelsConfig {
  return {
    shape: { numLayers: 2, numKvHeads: 1, headDim: HEAD_DIM },
    numHeads: NUM_HEADS,
    format: parseKvFormat(kv, HEAD_DIM),
    ropeFrequencies: Array.from({ length: HEAD_DIM / 2 }, (_, pair) => 10_000 ** ((-2 * pair) / HEAD_DIM)),
    maxRows: 68,
    maxContext: NUM_TOKENS,
    numThreads: 2,
  };
}

/** The outputs of the last layer, numHeads * headDim a row. */
async function attended(
  kernels: Kernels,
  place: (driver: AttentionDriver) => QueryRows,
  numSequences = 1,
): Promise<number[]> {
  const driver = await AttentionDriver.create(kernels, NUM_TOKENS, numSequences);
  const width = NUM_HEADS * HEAD_DIM;
  const identity = Array.from({ length: width ** 2 }, (_, i) => (i % (width + 1) === 0 ? 1 : 0));
  const reader: MatmulOutput = {
    weights: await kernels.loadMatrix(f32Tensor(width, width, identity), { kind: 'file' }),
    out: kernels.createActivation(width, 'step'),
  };
  const rows = place(driver);
  await driver.attend(rows, 4, () => kernels.matmul(driver.attended, [reader]));
  return Array.from({ length: rows.numRows * rows.numSequences }, (_, row) => [
    ...kernels.readRow(reader.out, row),
  ]).flat();
}

for (const kv of ['f16', 'q4']) {
  for (const place of ['decodeRow', 'prefillRows'] as const) {
    test(`the ${place} of ${kv} attend to what the reference attends to, within .05 of values of 1`, async () => {
      const wasm = await createWasmKernels(config(kv));
      try {
        const found = await attended(wasm, (driver) => driver[place](NUM_TOKENS));
        const expected = await attended(new ReferenceKernels(config(kv)), (driver) => driver[place](NUM_TOKENS));
        assert.ok(Math.max(...expected.map(Math.abs)) > 0.1, 'attention that sees nothing');
        const errors = found.map((value, i) => Math.abs(value - expected[i]));
        assert.ok(Math.max(...errors) < 0.05, `an error of ${Math.max(...errors)}`);
      } finally {
        await wasm.close();
      }
    });
  }
}

test('each of three sequences, with pages of its own, attends to what one alone attends to, which is three times the work', async () => {
  const wasm = await createWasmKernels(config('q4'));
  try {
    const alone = await attended(wasm, (driver) => driver.decodeRow(NUM_TOKENS));
    const batch = await attended(
      wasm,
      (driver) => {
        const [one, three] = [driver.decodeRow(NUM_TOKENS), driver.batchRows(NUM_TOKENS)].map((rows) =>
          driver.work(rows),
        );
        assert.deepEqual(three, { macs: 3 * one.macs, bytes: 3 * one.bytes });
        return driver.batchRows(NUM_TOKENS);
      },
      3,
    );
    assert.deepEqual(batch, [...alone, ...alone, ...alone]);
  } finally {
    await wasm.close();
  }
});

test('work counts both products and the bytes of pages as they are stored', async () => {
  const driver = await AttentionDriver.create(new ReferenceKernels(config('q4')), NUM_TOKENS);
  // Three sealed pages of 64 tokens, 4.x bits an element; 4 sink tokens and 4 of the open page in f16.
  const { macs, bytes } = driver.work(driver.decodeRow(NUM_TOKENS));
  assert.equal(macs, 2 * NUM_HEADS * HEAD_DIM * NUM_TOKENS);
  const f16Bytes = 8 * 2 * HEAD_DIM * 2;
  const bits = (8 * (bytes - f16Bytes)) / (192 * 2 * HEAD_DIM);
  assert.ok(bits > 4 && bits < 5, `${bits} bits an element`);
  // Rows 132 to 195, each up to itself.
  const rows = driver.prefillRows(NUM_TOKENS);
  assert.deepEqual(rows, { firstPosition: 132, numRows: 64, numSequences: 1 });
  const numSeen = (64 * (133 + 196)) / 2;
  assert.equal(driver.work(rows).macs, 2 * NUM_HEADS * HEAD_DIM * numSeen);
});

test('fewer tokens than a page are one segment', async () => {
  const driver = await AttentionDriver.create(new ReferenceKernels(config('f16')), NUM_TOKENS);
  assert.deepEqual(driver.prefillRows(40), { firstPosition: 0, numRows: 40, numSequences: 1 });
  assert.deepEqual(driver.decodeRow(40), { firstPosition: 39, numRows: 1, numSequences: 1 });
});
