import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServeLoadSection } from './bench-serve.ts';
import { runCli, TINY_MODEL } from './testing/run-cli.ts';

const ARGS = ['bench', 'serve', '--users', '3', '--seconds', '1.5', '--leave-share', '0.4', '--max-tokens', '12'];
const OWN = [...ARGS, '--model', TINY_MODEL, '--threads', '1'];

test('bench serve loads a server of its own, some clients leave, and nothing is left', async () => {
  const { stdout, stderr } = await runCli([...OWN, '--kv', 'q8', '--json']);
  assert.equal(stderr, '');
  const { model, settings, serve } = JSON.parse(stdout) as ServeLoadSection;
  assert.match(model, /llama-d64/);
  assert.deepEqual(settings, { kv: 'q8', users: 3, seconds: 1.5, leave_share: 0.4, max_tokens: 12 });
  assert.deepEqual([serve.errors, serve.error_messages], [0, []]);
  assert.ok(serve.requests > serve.left && serve.left > 0, `${serve.left} of ${serve.requests} left`);
  assert.ok(serve.tokens > serve.requests && serve.wall_ms >= 1500);
  assert.ok(Math.abs(serve.tokens_per_second - (1000 * serve.tokens) / serve.wall_ms) < 1e-6);
  assert.ok((serve.ttft_ms_p50 ?? 0) > 0 && (serve.ttft_ms_p50 ?? 0) <= (serve.ttft_ms_p99 ?? 0));
  assert.ok((serve.itl_ms_p50 ?? 0) > 0 && (serve.itl_ms_p50 ?? 0) <= (serve.itl_ms_p99 ?? 0));
  for (const bytes of Object.values(serve.rss_bytes)) assert.ok((bytes ?? 0) > 1e7);
  const { kept, ...left } = serve.left_over;
  assert.deepEqual(left, { running: 0, waiting: 0, open: 0, sealed: 0, shared: 0 });
  assert.ok(kept > 0);
});

test('bench serve prints lines', async () => {
  const { stdout } = await runCli([...OWN, '--seconds', '0.2']);
  assert.match(
    stdout,
    /^kvant-tiny-llama-d64 · wasm, 1 thread, .*\n3 clients, [\d.]+ s, q4\nrequests +\d+, of which \d+/,
  );
  assert.match(stdout, /\nerrors +0\ntokens a second +[\d.]+\nfirst token +p50 [\d.]+ ms, p99 [\d.]+ ms\n/);
  assert.match(stdout, /\nleft at the end +requests 0, pages in use 0, kept \d+\n$/);
});

test('bench serve tells which server it cannot measure', async () => {
  const { exitCode, stderr } = await runCli([...ARGS, '--url', 'http://127.0.0.1:9']);
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /^kvant: the server at http:\/\/127\.0\.0\.1:9 tells nothing of its cache \(.*\): is it "kvant serve", and the key right\?\n/,
  );
  const refused = await runCli([...ARGS, '--leave-share', '2']);
  assert.match(refused.stderr, /--leave-share 2: must be a number from 0 to 1/);
});
