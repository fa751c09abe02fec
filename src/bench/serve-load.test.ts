import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { loadServer, type ServeLoad } from './serve-load.ts';
import { serveRow } from './serve-report.ts';

/** Loads a server that answers in a known way. */
async function load(answer: RequestListener, leaveShare: number): Promise<ServeLoad> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const signal = new AbortController().signal;
    return await loadServer({ url, users: 2, seconds: 0.2, leaveShare, maxTokens: 4, seed: 1, signal });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const piece = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n';
const usage = 'data: {"choices":[],"usage":{"completion_tokens":5}}\n\n';

test('answers that come to their end are counted with the tokens that the server tells', async () => {
  const { outcomes, wallMs } = await load(
    (_, response) => response.end(`${piece.repeat(3)}${usage}data: [DONE]\n\n`),
    0,
  );
  assert.ok(outcomes.length >= 2 && wallMs >= 200);
  for (const outcome of outcomes) {
    assert.deepEqual([outcome.end, outcome.numTokens, outcome.gapsMs.length], ['ended', 5, 2]);
    assert.ok((outcome.ttftMs ?? 0) > 0);
  }
});

test('clients that leave midway count as such, with what they got', async () => {
  const row = serveRow(await load((_, response) => void response.write(piece.repeat(3)), 1));
  assert.ok(row.requests >= 2);
  assert.deepEqual([row.left, row.errors], [row.requests, 0]);
  assert.ok(row.tokens >= row.requests);
});

test('what fails counts as an error and is told', async () => {
  const answers: readonly (readonly [RequestListener, RegExp])[] = [
    [(_, response) => response.writeHead(429).end('full'), /^429 full$/],
    [(_, response) => response.end(piece), /^the stream ended without \[DONE\]$/],
    [(_, response) => response.end('data: {"error":{"message":"it broke"}}\n\n'), /^it broke$/],
    [(_, response) => response.destroy(), /fetch failed/],
  ];
  for (const [answer, message] of answers) {
    const row = serveRow(await load(answer, 0));
    assert.ok(row.requests >= 2 && row.errors === row.requests);
    assert.match(row.error_messages[0], message);
    assert.equal(row.itl_ms_p99, null);
  }
});
