import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHeads } from './check-heads.ts';

/** What WebGPU promises of every device. */
const LEAST_BYTES = 16_384;

test('heads that every device can seal, and those that only some can', () => {
  for (const headDim of [16, 64, 80, 128, 144]) checkHeads(headDim, LEAST_BYTES);
  for (const headDim of [160, 256]) checkHeads(headDim, 2 * LEAST_BYTES);
  assert.throws(() => checkHeads(256, LEAST_BYTES), {
    code: 'MODEL_UNSUPPORTED',
    message:
      'heads of 256 channels: sealing them takes 24832 bytes of workgroup memory, and this GPU has 16384; use --backend wasm',
  });
});
