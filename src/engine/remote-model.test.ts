import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineClient } from './engine-client.ts';
import { RemoteModel } from './remote-model.ts';
import { FakePort } from './testing/fake-port.ts';
import type { GenerateResult, ModelInfo } from './types.ts';

const INFO = { name: 'fake' } as ModelInfo;

function connect(): { port: FakePort; model: RemoteModel } {
  const port = new FakePort();
  return { port, model: new RemoteModel(new EngineClient(port), INFO) };
}

function resultOf(text: string, finishReason: GenerateResult['finishReason'] = 'stop'): Partial<GenerateResult> {
  return { text, finishReason };
}

function paramsOf(port: FakePort, id: number): Record<string, unknown> {
  const message = port.posted.find((posted) => posted.kind === 'call' && posted.id === id);
  return (message as unknown as { params: Record<string, unknown> }).params;
}

test('a generation can be iterated while it runs, again when it has ended, and its result awaited', async () => {
  const { port, model } = connect();
  const generation = model.generate({ prompt: 'a', maxTokens: 3 });
  const texts: string[] = [];
  const reading = (async () => {
    for await (const { text } of generation) texts.push(text);
  })();
  port.event(0, { type: 'chunk', chunk: { text: 'x', tokenIds: [1] } });
  await new Promise(setImmediate);
  assert.deepEqual(texts, ['x']);
  port.event(0, { type: 'chunk', chunk: { text: 'y', tokenIds: [2] } });
  port.event(0, { type: 'chunk', chunk: { text: 'z', tokenIds: [3] } });
  port.result(0, resultOf('xyz'));
  await reading;
  assert.deepEqual(texts, ['x', 'y', 'z']);
  assert.equal((await generation.result).text, 'xyz');
  const again: string[] = [];
  for await (const { text } of generation) again.push(text);
  assert.deepEqual(again, texts);
});

test('leaving the loop early aborts the generation, reading it to its end does not', async () => {
  const { port, model } = connect();
  const generation = model.generate({ prompt: 'a' });
  port.event(0, { type: 'chunk', chunk: { text: 'x', tokenIds: [1] } });
  for await (const { text } of generation) if (text === 'x') break;
  assert.deepEqual(port.posted.at(-1), { kind: 'abort', id: 0 });
  port.result(0, resultOf('x', 'aborted'));
  assert.equal((await generation.result).finishReason, 'aborted');
  const other = model.generate({ prompt: 'a' });
  port.result(1, resultOf(''));
  for await (const chunk of other) assert.fail(chunk.text);
  assert.notEqual(port.posted.at(-1)?.kind, 'abort');
});

test('an error comes to those who iterate and to those who await', async () => {
  const { port, model } = connect();
  const generation = model.generate({ prompt: 'a' });
  port.receive({ kind: 'error', id: 0, error: { code: 'PROMPT_TOO_LONG', message: 'too long' } });
  const iterate = async (): Promise<void> => {
    for await (const chunk of generation) assert.fail(chunk.text);
  };
  await assert.rejects(iterate(), { code: 'PROMPT_TOO_LONG' });
  await assert.rejects(generation.result, { code: 'PROMPT_TOO_LONG' });
});

test('an abort signal aborts, before the start and during it, and is not listened to afterwards', async () => {
  const { port, model } = connect();
  const early = model.generate({ prompt: 'a', signal: AbortSignal.abort() });
  assert.deepEqual(port.posted.at(-1), { kind: 'abort', id: 0 });
  port.result(0, resultOf('', 'aborted'));
  await early.result;
  const controller = new AbortController();
  const late = model.generate({ prompt: 'a', signal: controller.signal });
  assert.equal(port.posted.at(-1)?.kind, 'call');
  controller.abort();
  assert.deepEqual(port.posted.at(-1), { kind: 'abort', id: 1 });
  port.result(1, resultOf('', 'aborted'));
  await late.result;
  const done = new AbortController();
  const finished = model.generate({ prompt: 'a', signal: done.signal });
  port.result(2, resultOf('b'));
  await finished.result;
  const numPosted = port.posted.length;
  done.abort();
  assert.equal(port.posted.length, numPosted);
});

test('callbacks get what the worker says; options cross as plain data with a seed', async () => {
  const { port, model } = connect();
  const seen: unknown[] = [];
  const generation = model.generate({
    tokens: [1, 2],
    logProbsAt: [1],
    onLogProbs: (position, logProbs) => seen.push([position, ...logProbs]),
    onPrefillProgress: (progress) => seen.push(progress),
  });
  const { seed, ...params } = paramsOf(port, 0);
  assert.deepEqual(params, { tokens: [1, 2], logProbsAt: [1] });
  assert.ok(Number.isInteger(seed) && Number(seed) >= 0 && Number(seed) <= 0xffffffff);
  port.event(0, { type: 'prefillProgress', computedTokens: 2, totalTokens: 2 });
  port.event(0, { type: 'logProbs', position: 1, logProbs: Float32Array.of(-1, -2) });
  port.result(0, resultOf(''));
  await generation.result;
  assert.deepEqual(seen, [{ computedTokens: 2, totalTokens: 2 }, [1, -1, -2]]);
});

test('options that are wrong are refused at once', () => {
  const { model } = connect();
  assert.throws(() => model.generate({ prompt: 'a', topP: 2 }), { code: 'INVALID_OPTION' });
  assert.throws(() => model.generate({}), { code: 'INVALID_OPTION' });
  assert.throws(() => model.chat({ sytem: 'a' } as object), { code: 'INVALID_OPTION' });
  assert.throws(() => model.chat().send('a', { maxTokens: -1 }), { code: 'INVALID_OPTION' });
});

test('a chat gathers its messages and stays in one conversation', async () => {
  const { port, model } = connect();
  const chat = model.chat({ system: 'be brief' });
  const other = model.chat();
  const first = chat.send('hello', { maxTokens: 9 });
  assert.deepEqual(paramsOf(port, 0)['messages'], [
    { role: 'system', content: 'be brief' },
    { role: 'user', content: 'hello' },
  ]);
  port.result(0, resultOf('hi'));
  await first.result;
  const second = chat.send('more');
  port.result(1, resultOf('well', 'aborted'));
  await second.result;
  const roles = ['system', 'user', 'assistant', 'user', 'assistant'];
  assert.deepEqual(
    chat.messages.map(({ role }) => role),
    roles,
  );
  assert.deepEqual(chat.messages.at(-1), { role: 'assistant', content: 'well' });
  other.send('x').result.catch(() => undefined);
  const conversations = [0, 1, 2].map((id) => paramsOf(port, id)['conversation']);
  assert.equal(conversations[0], conversations[1]);
  assert.notEqual(conversations[0], conversations[2]);
});

test('a message that could not be answered is not kept', async () => {
  const { port, model } = connect();
  const chat = model.chat();
  const generation = chat.send('much too long');
  port.receive({ kind: 'error', id: 0, error: { code: 'PROMPT_TOO_LONG', message: 'too long' } });
  await assert.rejects(generation.result, { code: 'PROMPT_TOO_LONG' });
  assert.deepEqual(chat.messages, []);
  const next = chat.send('short');
  port.result(1, resultOf('ok'));
  await next.result;
  assert.equal(chat.messages.length, 2);
});

test('a chat answers one message at a time; clearing aborts, forgets, and lets the pages go', async () => {
  const { port, model } = connect();
  const chat = model.chat({ system: 's' });
  const generation = chat.send('a');
  assert.throws(() => chat.send('b'), { code: 'INVALID_OPTION', message: /^the chat is still answering/ });
  const cleared = chat.clear();
  assert.deepEqual(port.posted.at(-1), { kind: 'abort', id: 0 });
  port.result(0, resultOf('half', 'aborted'));
  assert.equal((await generation.result).text, 'half');
  await new Promise(setImmediate);
  const release = port.posted.at(-1);
  assert.ok(release?.kind === 'call' && release.name === 'releaseConversation');
  assert.equal(release.params.conversation, paramsOf(port, 0)['conversation']);
  port.result(1, undefined);
  await cleared;
  assert.deepEqual(chat.messages, [{ role: 'system', content: 's' }]);
});

test('statistics are asked for all tenants or for one, and a tenant has a name', async () => {
  const { port, model } = connect();
  const all = model.stats();
  port.result(0, { steps: 3 });
  assert.equal((await all).steps, 3);
  assert.deepEqual(paramsOf(port, 0), {});
  void model.stats({ tenant: 'a' });
  assert.deepEqual(paramsOf(port, 1), { tenant: 'a' });
  const message = 'option "tenant" must be a text of at least one character; got ""';
  await assert.rejects(model.stats({ tenant: '' }), { code: 'INVALID_OPTION', message });
});
