import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineClient } from './engine-client.ts';
import { FakePort } from './testing/fake-port.ts';

function connect(): { port: FakePort; client: EngineClient } {
  const port = new FakePort();
  return { port, client: new EngineClient(port) };
}

test('calls get their own results, in whatever order these come, and the program waits only for them', async () => {
  const { port, client } = connect();
  assert.equal(port.busy, false);
  const first = client.call('detokenize', { tokenIds: [1] });
  const second = client.call('detokenize', { tokenIds: [2] });
  assert.equal(port.busy, true);
  port.result(1, 'b');
  assert.equal(port.busy, true);
  port.result(0, 'a');
  assert.equal(port.busy, false);
  assert.deepEqual(await Promise.all([first.result, second.result]), ['a', 'b']);
});

test('an error of the worker comes back with its code and its message', async () => {
  const { port, client } = connect();
  const { result } = client.call('tokenize', { text: 'a', parseSpecial: false });
  port.receive({ kind: 'error', id: 0, error: { code: 'PROMPT_TOO_LONG', message: 'too long' } });
  await assert.rejects(result, { name: 'KvantError', code: 'PROMPT_TOO_LONG', message: 'too long' });
});

test('a worker that breaks down ends every call with ENGINE_FAILED, and calls after that', async () => {
  const { port, client } = connect();
  const results = [1, 2].map((id) => client.call('detokenize', { tokenIds: [id] }).result);
  const failed = {
    code: 'ENGINE_FAILED',
    message: /^the engine's worker ended unexpectedly \(out of memory\): load the/,
  };
  port.breakDown('out of memory');
  for (const result of results) await assert.rejects(result, failed);
  await assert.rejects(client.call('detokenize', { tokenIds: [] }).result, failed);
  assert.equal(port.busy, false);
});

test('closing ends the worker and every call with ENGINE_CLOSED, also when done twice', async () => {
  const { port, client } = connect();
  const { result } = client.call('detokenize', { tokenIds: [1] });
  const closed = { code: 'ENGINE_CLOSED', message: /^the model was closed/ };
  const rejected = assert.rejects(result, closed);
  await client.close();
  await rejected;
  await client.close();
  assert.ok(port.terminated > 0);
  await assert.rejects(client.call('detokenize', { tokenIds: [] }).result, closed);
});

test('a callback that throws ends its call with that error, and the worker is told to stop', async () => {
  const { port, client } = connect();
  const { result } = client.call('tokenize', { text: '', parseSpecial: false }, () => {
    throw new TypeError('mine');
  });
  port.event(0, { type: 'chunk', chunk: { text: 'a', tokenIds: [1] } });
  await assert.rejects(result, { name: 'TypeError', message: 'mine' });
  assert.deepEqual(port.posted.at(-1), { kind: 'abort', id: 0 });
  port.event(0, { type: 'chunk', chunk: { text: 'b', tokenIds: [2] } });
  port.result(0, []);
});
