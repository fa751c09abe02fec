import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { letters, loadTinyEngine, NO_EVENTS, request } from '../engine/testing/tiny-engine.ts';
import { cacheReport, cacheReportSchema } from './cache-report.ts';
import { FAKE_STATS } from './testing/fake-stats.ts';

const INFO = { name: 'tiny', ctx: 2048 };

test('every figure is where the contract has it', () => {
  assert.deepEqual(cacheReport(FAKE_STATS, INFO), {
    model: { name: 'tiny', kv: 'q4', ctx: 2048, bits_per_element: 4.5, f16_bytes_per_token: 1024 },
    requests: { running: 2, waiting: 3 },
    pages: {
      tokens_per_page: 64,
      by_state: { open: 3, sealed: 4, shared: 5, kept: 6 },
      by_format: [
        { format: 'q4', bits: 4.5, open: 2, sealed: 3, shared: 5, kept: 0, bytes: 3000, f16_bytes: 9000 },
        { format: 'q8', bits: 8.5, open: 1, sealed: 1, shared: 0, kept: 6, bytes: 5000, f16_bytes: 7000 },
      ],
      strip: [
        { id: 17, state: 'shared', format: 'q4', bits: 4.5, users: 2 },
        { id: 18, state: 'open', format: 'q8', bits: 16, users: 1 },
      ],
    },
    memory: { used_bytes: 8000, total_bytes: 20_000, free_bytes: 12_000, f16_bytes: 16_000, saved_bytes: 8000 },
    prefix_cache: { queried_tokens: 400, hit_tokens: 100, hit_rate: 0.25 },
    preemptions: 7,
    speculation: { drafted: 20, accepted: 11 },
    audit: null,
  });
});

test('an audit before its first request has no mean, and JSON says so', () => {
  const audit = { every: 50, count: 0, meanKld: undefined, lastKld: undefined, skipped: 2, recentKlds: [] };
  const report = cacheReport({ ...FAKE_STATS, audit }, INFO);
  assert.deepEqual(report.audit, { every: 50, count: 0, skipped: 2, mean_kld: null, last_kld: null });
  const later = { ...audit, count: 1, meanKld: 0.5, lastKld: 0.25 };
  assert.deepEqual(cacheReport({ ...FAKE_STATS, audit: later }, INFO).audit, {
    ...{ every: 50, count: 1, skipped: 2, mean_kld: 0.5, last_kld: 0.25 },
  });
});

test('what an engine reports is what the schema says, with nothing beside it, also after JSON', async () => {
  const { engine, info } = await loadTinyEngine();
  const strict = z.strictObject(cacheReportSchema.shape);
  strict.parse(cacheReport(await engine.stats(), info));
  await engine.submit(request({ promptTokens: letters(200), maxTokens: 3, conversation: 1 }), NO_EVENTS).result;
  const report = cacheReport(await engine.stats({ tenant: 'default' }), info);
  assert.deepEqual(strict.parse(JSON.parse(JSON.stringify(report))), report);
  assert.deepEqual(report.pages.by_state, { open: 1, sealed: 3, shared: 0, kept: 0 });
  assert.ok(report.memory.saved_bytes > 0);
  assert.equal(report.prefix_cache.queried_tokens, 200);
});

test('the schema can be written as JSON schema, for the OpenAPI document', () => {
  const schema = z.toJSONSchema(cacheReportSchema);
  assert.deepEqual(schema.required, Object.keys(cacheReportSchema.shape));
});
