import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKvFormat } from '../quant/kv-format.ts';
import { kvUsage } from './kv-usage.ts';
import { bitsPerElement, sealedPageLayout } from './page-layout.ts';

const SHAPE = { numLayers: 2, numKvHeads: 3, headDim: 64 };
const F16_TOKEN_BYTES = 2 * 2 * 3 * 64 * 2;

test('an f16 cache takes 16 bits an element, however many tokens it has', () => {
  const layout = sealedPageLayout(parseKvFormat('f16', 64), SHAPE);
  for (const [numPages, numTokens] of [
    [0, 1],
    [0, 63],
    [1, 64],
    [5, 5 * 64 + 7],
  ] as const) {
    const bytes = numTokens * F16_TOKEN_BYTES;
    assert.deepEqual(kvUsage(layout, numPages, numTokens), { numTokens, bytes, bytesF16: bytes, bitsPerElement: 16 });
  }
});

test('a q4 cache counts sealed pages with metadata, and sink and open tokens in f16', () => {
  const layout = sealedPageLayout(parseKvFormat('q4', 64), SHAPE);
  const usage = kvUsage(layout, 3, 4 + 3 * 64 + 10);
  assert.equal(usage.bytes, 3 * layout.pageBytes + 14 * F16_TOKEN_BYTES);
  assert.equal(usage.bytesF16, 206 * F16_TOKEN_BYTES);
  assert.equal(usage.bitsPerElement, (16 * usage.bytes) / usage.bytesF16);
  const long = kvUsage(layout, 10_000, 10_000 * 64 + 4);
  assert.ok(Math.abs(long.bitsPerElement - bitsPerElement(layout)) < 1e-3);
});

test('nothing takes nothing, and pages without their tokens are refused', () => {
  const layout = sealedPageLayout(parseKvFormat('q8', 64), SHAPE);
  assert.deepEqual(kvUsage(layout, 0, 0), { numTokens: 0, bytes: 0, bytesF16: 0, bitsPerElement: 0 });
  assert.throws(() => kvUsage(layout, 1, 63), RangeError);
});
