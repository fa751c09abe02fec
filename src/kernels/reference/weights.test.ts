import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvantError } from '../../errors.ts';
import { f32Tensor, tensorSource } from '../testing/tensor-source.ts';
import { readMatrix, readVector } from './weights.ts';

const FILE = { kind: 'file' } as const;

test('a matrix of several reads has every row in its place', async () => {
  const [numRows, numCols] = [900, 512];
  const values = Float32Array.from({ length: numRows * numCols }, (_, i) => Math.floor(i / numCols) + (i % 7) / 8);
  const source = f32Tensor(numRows, numCols, values);
  assert.deepEqual((await readMatrix(source, FILE)).values, values);
  const order = { kind: 'interleaved-rope', headDim: 4, ropeDim: 4 } as const;
  const permuted = (await readMatrix(source, order)).values;
  const firstOfRow = Array.from({ length: numRows }, (_, row) => permuted[row * numCols]);
  assert.deepEqual(firstOfRow.slice(0, 4), [values[0], values[2 * numCols], values[numCols], values[3 * numCols]]);
  assert.deepEqual(
    firstOfRow.map(Math.floor).sort((a, b) => a - b),
    [...Array(numRows).keys()],
  );
});

test('a quantized matrix keeps its rows apart', async () => {
  const row = (scale: number): number[] => [0, scale, ...Array<number>(32).fill(1)];
  // 0x3c00 is 1.0 and 0x4000 is 2.0 as halves.
  const source = tensorSource('Q8_0', 2, 32, Uint8Array.from([...row(0x3c), ...row(0x40)]));
  const { values } = await readMatrix(source, FILE);
  assert.deepEqual([...values], [...Array<number>(32).fill(1), ...Array<number>(32).fill(2)]);
});

test('elements of a vector follow the rows that they belong to', async () => {
  const order = { kind: 'interleaved-rope', headDim: 4, ropeDim: 4 } as const;
  assert.deepEqual([...(await readVector(f32Tensor(1, 4, [10, 11, 12, 13]), order))], [10, 12, 11, 13]);
});

test('a quantized vector and a vector of several rows are refused', async () => {
  await assert.rejects(readVector(tensorSource('Q8_0', 1, 32, new Uint8Array(34)), FILE), (error) => {
    assert.ok(error instanceof KvantError);
    assert.equal(error.code, 'MODEL_UNSUPPORTED');
    assert.equal(error.message, 'test.Q8_0: a vector of type Q8_0: it must be F32, F16 or BF16');
    return true;
  });
  await assert.rejects(readVector(f32Tensor(2, 1, [1, 2]), FILE), /a vector of 2 rows/);
});

test('what the source throws comes through', async () => {
  const source = { ...f32Tensor(1, 2, [1, 2]), read: () => Promise.reject(new KvantError('MODEL_TRUNCATED', 'cut')) };
  await assert.rejects(readMatrix(source, FILE), { code: 'MODEL_TRUNCATED', message: 'cut' });
  await assert.rejects(readVector(source, FILE), { code: 'MODEL_TRUNCATED' });
});

test('a matrix beyond memory is refused with OUT_OF_MEMORY and its size', async () => {
  const source = { ...f32Tensor(1, 1, [1]), numRows: 2 ** 40, numCols: 2 ** 12 };
  await assert.rejects(readMatrix(source, FILE), {
    code: 'OUT_OF_MEMORY',
    message: /as float32, 18014398509481984 bytes; use wasm/,
  });
});
