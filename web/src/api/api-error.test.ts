import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorOf } from './api-error.ts';

function refusal(status: number, body: string, headers: Record<string, string> = {}): Promise<string> {
  return errorOf(new Response(body, { status, headers })).then(({ message }) => message);
}

describe('errorOf', () => {
  it('tells what the server said', async () => {
    assert.equal(await refusal(400, '{"error":{"message":"the prompt is too long"}}'), 'the prompt is too long');
  });

  it('tells how long to wait for a busy server', async () => {
    const message = await refusal(429, '{"error":{"message":"16 requests wait"}}', { 'retry-after': '3' });
    assert.equal(message, 'The server is busy; try again in 3 s. It says: 16 requests wait');
  });

  it('has words for answers without any', async () => {
    assert.equal(await refusal(502, '<html>'), 'The server failed (status 502).');
    assert.equal(await refusal(404, ''), 'The server refused this (status 404).');
    assert.match(await refusal(413, ''), /Send less text/);
    assert.match(await refusal(401, '{}'), /asks for an API key/);
  });
});
