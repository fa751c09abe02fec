import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KvantError } from '../errors.ts';
import type { Model } from '../index.ts';
import { createServer } from './create-server-node.ts';
import { FAKE_STATS } from './testing/fake-stats.ts';

/** A server of a model that does nothing but tell of itself. */
async function metricsOf(stats: Model['stats']): Promise<string> {
  const info = { name: 'tiny', path: 'tiny.gguf', ctx: 64, backend: { name: 'wasm' } } as Model['info'];
  const { app } = await createServer({ model: { info, stats } as Model });
  const { statusCode, payload } = await app.inject('/metrics');
  await app.close();
  assert.equal(statusCode, 200);
  return payload;
}

test('metrics are those of the engine at this moment, under the name that clients know', async () => {
  const text = await metricsOf(async () => FAKE_STATS);
  assert.match(text, /^vllm:num_requests_running\{model_name="tiny"\} 2$/m);
});

test('metrics of requests are told though the engine has failed', async () => {
  const text = await metricsOf(() => Promise.reject(new KvantError('ENGINE_FAILED', 'the engine failed: no memory')));
  assert.match(text, /^vllm:e2e_request_latency_seconds_count\{model_name="tiny"\} 0$/m);
});
