import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WeightType } from '../weight-types.ts';
import type { GpuDevice } from './gpu-device.ts';
import type { GpuMatrix } from './gpu-weights.ts';
import { MatmulSizes, threadsPerFeature, tileBytes } from './matmul-sizes.ts';
import { packingOf } from './weight-packing.ts';

/** What WebGPU promises of every device, and what an H200 has. */
const LEAST = { maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupStorageSize: 16_384 };
const LARGE = { maxComputeInvocationsPerWorkgroup: 1024, maxComputeWorkgroupStorageSize: 49_152 };

function sizesOf(limits: typeof LEAST): MatmulSizes {
  return new MatmulSizes({ limits, isSoftware: false } as unknown as GpuDevice);
}

function matrix(numRows: number, numCols: number, type: WeightType = 'Q4_0'): GpuMatrix {
  return { firstRow: 0, numRows, numCols, packing: packingOf(type) } as unknown as GpuMatrix;
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

test('a tile has as many teams, or buffers, as there is room for', () => {
  for (const limits of [LEAST, LARGE]) {
    for (const type of ['Q4_0', 'Q8_0', 'Q4_K', 'Q6_K'] as const) {
      for (const [numRows, numCols] of [
        [2048, 8192],
        [2048, 256],
        [8192, 2048],
        [128, 32],
      ]) {
        const tile = sizesOf(limits).tile(matrix(numRows, numCols, type));
        const numBytes = tileBytes(tile, packingOf(type));
        assert.ok(
          numBytes <= limits.maxComputeWorkgroupStorageSize,
          `${type} ${numRows}x${numCols}: ${numBytes} bytes`,
        );
        const numThreads = tile.teams * tile.rowThreads * tile.featureThreads;
        assert.ok(
          numThreads <= limits.maxComputeInvocationsPerWorkgroup,
          `${type} ${numRows}x${numCols}: ${numThreads}`,
        );
      }
    }
  }
  const teams = (limits: typeof LEAST, numCols: number): number => sizesOf(limits).tile(matrix(2048, numCols)).teams;
  assert.deepEqual(
    [8192, 1280, 576, 256].map((numCols) => teams(LARGE, numCols)),
    [8, 8, 4, 1],
  );
  assert.deepEqual(
    [8192, 576, 256].map((numCols) => teams(LEAST, numCols)),
    [2, 2, 1],
  );
  assert.equal(sizesOf(LARGE).tile(matrix(8192, 2048)).buffers, 2);
  assert.equal(sizesOf(LEAST).tile(matrix(8192, 2048)).buffers, 1);
});
