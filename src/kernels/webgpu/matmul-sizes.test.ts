import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GpuDevice } from './gpu-device.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import { MatmulSizes, threadsPerFeature } from './matmul-sizes.ts';
import { packingOf } from './weight-packing.ts';

/** What WebGPU promises of every device, and what an H200 has. */
const LEAST = { maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupStorageSize: 16_384 };
const LARGE = { maxComputeInvocationsPerWorkgroup: 1024, maxComputeWorkgroupStorageSize: 49_152 };

function sizesOf(limits: typeof LEAST): MatmulSizes {
  return new MatmulSizes({ limits, isSoftware: false } as unknown as GpuDevice);
}

function matrix(numRows: number, numCols: number): GpuMatrix {
  return { firstRow: 0, numRows, numCols, packing: packingOf('Q4_0') } as unknown as GpuMatrix;
}

test('a batch has as many threads as there is room for, of whole features', () => {
  for (const limits of [LEAST, LARGE]) {
    for (let numCols = 32; numCols <= 32_768; numCols *= 2) {
      const { rowsEach, featuresEach, workgroup } = sizesOf(limits).batch(matrix(4096, numCols));
      const threads = threadsPerFeature(numCols);
      const features = (workgroup / threads) * featuresEach;
      const numBytes = rowsEach * features * (threads + 1) * 4 + rowsEach * threads * 48;
      assert.ok(Number.isInteger(features) && features > 0, `${numCols} columns: ${workgroup} threads`);
      assert.ok(numBytes <= limits.maxComputeWorkgroupStorageSize, `${numCols} columns: ${numBytes} bytes`);
    }
  }
  assert.equal(sizesOf(LEAST).batch(matrix(4096, 4096)).workgroup, 128);
  assert.equal(sizesOf(LARGE).batch(matrix(4096, 4096)).workgroup, 256);
});

test('few rows are normed on the way only where a workgroup has room for them', () => {
  const wide = matrix(8192, 2048);
  assert.deepEqual(
    [1, 2, 4].map((rows) => sizesOf(LEAST).hasRoomForFew(wide, rows, true)),
    [true, true, false],
  );
  assert.ok(sizesOf(LEAST).hasRoomForFew(wide, 4, false));
  assert.ok(sizesOf(LARGE).hasRoomForFew(wide, 4, true));
  assert.ok(!sizesOf(LEAST).hasRoomForFew(matrix(8192, 8192), 1, false), 'a gated product needs 512 threads');
});

test('rows of few features are summed in slices as far as a workgroup has room', () => {
  assert.deepEqual(
    [2048, 8192].map((features) => sizesOf(LARGE).slices(matrix(features, 4096))),
    [4, 1],
  );
  assert.equal(sizesOf(LEAST).slices(matrix(2048, 4096)), 1);
  assert.equal(sizesOf(LARGE).slices(matrix(2048, 1280)), 1, 'five segments are no whole slices');
});
