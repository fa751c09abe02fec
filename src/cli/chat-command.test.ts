import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'node:test';
import { KvantError } from '../errors.ts';
import { chatCommand } from './chat-command.ts';
import { FakeContext } from './testing/fake-context.ts';
import { fakeModel } from './testing/fake-model.ts';
import { until } from './testing/until.ts';

async function* endless(content: string, signal: AbortSignal): AsyncGenerator<string> {
  while (!signal.aborted) {
    yield `${content}! `;
    await nextTurn();
  }
}

test('Ctrl-C stops an answer and keeps the chat; twice where nothing runs it leaves with 130', async () => {
  const { load, log } = fakeModel({ answer: endless });
  const context = new FakeContext({ load });
  const { texts } = context;
  const exitCode = chatCommand({}, context);
  context.stdin.write('hello\n');
  await until(() => texts.stdout.includes('hello!'));
  context.interrupt();
  await until(() => texts.stderr.includes('kv q4'));
  context.stdin.write('again\n');
  await until(() => texts.stdout.includes('again!'));
  context.interrupt();
  await until(() => texts.stderr.match(/kv q4/g)?.length === 2);
  await nextTurn();
  context.interrupt();
  await until(() => texts.stderr.includes('Ctrl-C again'));
  context.interrupt();
  assert.equal(await exitCode, 130);
  assert.deepEqual(log.messages, ['hello', 'again']);
  assert.equal(log.numCloses, 1);
});

test('an interrupt that is followed by a message does not count as the first of two', async () => {
  const { load, log } = fakeModel();
  const context = new FakeContext({ load });
  const exitCode = chatCommand({}, context);
  for (let round = 1; round <= 2; round++) {
    await nextTurn();
    context.interrupt();
    await until(() => context.texts.stderr.match(/Ctrl-C again/g)?.length === round);
    context.stdin.write('hello\n');
    await until(() => log.messages.length === round && context.texts.stderr.match(/kv q4/g)?.length === round);
  }
  context.stdin.end();
  assert.equal(await exitCode, 0);
});

test('a request to terminate ends the chat with 143, also while an answer comes', async () => {
  const { load, log } = fakeModel({ answer: endless });
  const context = new FakeContext({ load });
  const exitCode = chatCommand({}, context);
  context.stdin.write('hello\n');
  await until(() => context.texts.stdout.includes('hello!'));
  context.interrupt('SIGTERM');
  assert.equal(await exitCode, 143);
  assert.equal(log.numCloses, 1);
});

test('commands: /help, /clear, /stats, unknown ones, /exit; a path or a space before the slash is a message', async () => {
  const { load, log } = fakeModel();
  const lines = ['/help', '/clear', '/stats', '/nonsense', '/etc/passwd?', ' /help', '/stats', '/exit', 'never read'];
  const context = new FakeContext({ load, stdin: lines.join('\n') });
  assert.equal(await chatCommand({}, context), 0);
  const { stderr } = context.texts;
  assert.match(stderr, /\/clear +forget the conversation/);
  assert.match(
    stderr,
    /Fake: llama, 2 M parameters, fake\.gguf\nmemory: weights 1\.0 MB, cache 2\.0 MB, scratch 3\.0 MB/,
  );
  assert.match(stderr, /context: 0 of 64 tokens in 0 messages\nnothing was answered yet/);
  assert.match(stderr, /context: 4 of 64 tokens[^\n]*\nkv q4 · 5 bits/);
  assert.match(stderr, /unknown command \/nonsense: \/help lists the commands/);
  assert.equal(log.numClears, 1);
  assert.deepEqual(log.messages, ['/etc/passwd?', ' /help']);
});

test('messages of several lines: a backslash at the end, and blocks', async () => {
  const { load, log } = fakeModel();
  const context = new FakeContext({ load, stdin: 'one\\\ntwo\n"""\nthree\n\nfour\n"""\n' });
  assert.equal(await chatCommand({}, context), 0);
  assert.deepEqual(log.messages, ['one\ntwo', 'three\n\nfour']);
});

test('the document stands before the first message, and before the first one after /clear', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kvant-chat-'));
  try {
    const file = join(folder, 'book.txt');
    await writeFile(file, 'A book.\n');
    const { load, log } = fakeModel();
    const context = new FakeContext({ load, stdin: 'Who?\nWhere?\n/clear\nWhen?\n' });
    assert.equal(await chatCommand({ file }, context), 0);
    assert.deepEqual(log.messages, ['A book.\n\nWho?', 'Where?', 'A book.\n\nWhen?']);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a chat has a repetition penalty of its own, which a flag overrules', async () => {
  for (const [options, expected] of [
    [{}, 1.1],
    [{ repetitionPenalty: 1 }, 1],
  ] as const) {
    const { load, log } = fakeModel();
    await chatCommand(options, new FakeContext({ load, stdin: 'hello\n' }));
    assert.equal(log.sends[0].repetitionPenalty, expected);
    assert.equal(log.sends[0].maxTokens, 1024);
  }
});

test('an answer that the context cut off comes with what helps', async () => {
  const { load } = fakeModel({ finishReason: 'context' });
  const context = new FakeContext({ load, stdin: 'hello\n' });
  await chatCommand({}, context);
  assert.match(context.texts.stderr, /^kvant: the context of 64 tokens is full; --ctx makes it larger, \/clear starts/);
});

test('goes on after an error that only one message ran into; the exit code tells of it', async () => {
  const { load } = fakeModel({
    answer: function* (content) {
      if (content === 'long') throw new KvantError('PROMPT_TOO_LONG', 'the prompt has 99 tokens, but 64 are possible');
      yield 'fine';
    },
  });
  const context = new FakeContext({ load, stdin: 'long\nshort\n' });
  assert.equal(await chatCommand({}, context), 1);
  assert.match(context.texts.stderr, /kvant: the prompt has 99 tokens/);
  assert.equal(context.texts.stdout, 'fine\n');
});

test('ends with the engine', async () => {
  const { load, log } = fakeModel({
    answer: function* () {
      yield 'a';
      throw new KvantError('ENGINE_FAILED', 'the engine failed: load the model again');
    },
  });
  const context = new FakeContext({ load, stdin: 'hello\n' });
  await assert.rejects(chatCommand({}, context), { code: 'ENGINE_FAILED' });
  assert.equal(log.numCloses, 1);
});

test('Ctrl-C while the model loads ends the program quietly', async () => {
  const context: FakeContext = new FakeContext({
    load: ({ signal }) => {
      const { promise, reject } = Promise.withResolvers<never>();
      signal?.addEventListener('abort', () => reject(signal.reason as Error));
      return promise;
    },
  });
  const exitCode = chatCommand({}, context);
  await nextTurn();
  context.interrupt();
  assert.equal(await exitCode, 130);
  assert.equal(context.texts.stderr, '');
});
