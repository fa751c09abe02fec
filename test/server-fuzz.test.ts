import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from '../src/index.ts';
import { fuzzServer } from './fuzz/fuzz-server.ts';
import { tinyModel } from './support/reference.ts';

/** As `scripts/fuzz-server.ts`, which sends a hundred times as many. */

test('a thousand hostile requests are answered with typed errors, and good ones in between with answers', async (t) => {
  await using model = await load({ model: tinyModel('llama-d64.Q8_0.gguf'), ctx: 1024, maxSequences: 4, threads: 1 });
  const { problems, kinds, statuses, good } = await fuzzServer({ model, numRequests: 1000, seed: 1 });
  t.diagnostic(`${JSON.stringify(kinds)} ${JSON.stringify(statuses)}`);
  assert.deepEqual(problems, []);
  assert.ok(good > 5);
  assert.equal(Object.keys(kinds).length, 12, 'every kind was tried');
  for (const status of [200, 400, 403, 404, 405, 408, 413, 415, 431]) {
    assert.ok(statuses[status] > 0, `no answer had the status ${status}`);
  }
});
