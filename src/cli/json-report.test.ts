import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GenerateResult } from '../engine/types.ts';
import { jsonReport } from './json-report.ts';
import { FAKE_INFO } from './testing/fake-model.ts';
import { fakeCheck, fakeLayer } from './testing/fake-kv-check.ts';

const RESULT: GenerateResult = {
  text: 'Paris.',
  tokenIds: [5, 2],
  promptTokens: 31,
  cachedTokens: 0,
  preemptions: 0,
  completionTokens: 2,
  finishReason: 'stop',
  seed: 9,
  speculation: { mode: 'lookup', drafted: 7, accepted: 5, steps: 2 },
  kv: { format: 'k8v4', bitsPerElement: 6.25, bytes: 1000, bytesF16: 2560, tokens: 32 },
  timings: { loadMs: 300.5, ttftMs: 20, prefillTps: 900, decodeTps: 110 },
};

test('everything that was measured, in snake case', () => {
  const { memory, ...report } = jsonReport(RESULT, FAKE_INFO);
  const { peak_rss_bytes, ...stated } = memory;
  assert.deepEqual(stated, {
    weight_bytes: 1_000_000,
    page_bytes: 2_000_000,
    scratch_bytes: 3_000_000,
    planned_bytes: 90_000_000,
  });
  // Node alone takes more than 10 MB, and no test 10 GB.
  assert.ok(peak_rss_bytes > 1e7 && peak_rss_bytes < 1e10, `${peak_rss_bytes} bytes`);
  assert.deepEqual(report, {
    model: 'Fake',
    backend: { name: 'wasm', threads: 1, isa: 'SIMD' },
    kv: { format: 'k8v4', reason: null, bits_per_element: 6.25, bytes: 1000, bytes_f16: 2560, tokens: 32, check: null },
    prompt_tokens: 31,
    cached_tokens: 0,
    completion_tokens: 2,
    token_ids: [5, 2],
    text: 'Paris.',
    finish_reason: 'stop',
    seed: 9,
    speculation: { mode: 'lookup', drafted: 7, accepted: 5, steps: 2 },
    timings: { load_ms: 300.5, ttft_ms: 20, prefill_tps: 900, decode_tps: 110 },
  });
});

test('what was not measured is null, and so is what JSON has no number for', () => {
  const timings = { loadMs: 1, ttftMs: Number.NaN, prefillTps: undefined, decodeTps: Number.POSITIVE_INFINITY };
  const kv = { ...RESULT.kv, bitsPerElement: Number.NaN };
  const report = jsonReport({ ...RESULT, timings, kv }, FAKE_INFO);
  assert.deepEqual(report.timings, { load_ms: 1, ttft_ms: null, prefill_tps: null, decode_tps: null });
  assert.equal(report.kv.bits_per_element, null);
});

test('what a check of the KV format has found, in snake case; figures that are no numbers are null', () => {
  const layer = fakeLayer(0, { attentionKld: Number.NaN, keyOutlier: Infinity, suffers: ['k'] });
  const kvCheck = fakeCheck({ layers: [layer], suggestedKv: 'k4v2' });
  const { check } = jsonReport(RESULT, { ...FAKE_INFO, kvCheck }).kv;
  assert.deepEqual(check, {
    mode: 'warn',
    skipped: null,
    tokens: 260,
    text_tokens: 260,
    limits: { attention_kld: 0.02, value_error: 0.07 },
    layers: [
      {
        ...{ layer: 0, k_bits: 2, v_bits: 2, attention_kld: null, value_error: 0.03, output_error: 0.04 },
        ...{ key_outlier: null, key_bias: 2, suffers: ['k'] },
      },
    ],
    raised: [],
    estimated_kld: 0.0123,
    suggested_kv: 'k4v2',
    bits_per_element_before: 2.36,
    bits_per_element: 2.36,
    check_ms: 400,
  });
});
