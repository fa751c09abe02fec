import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runCli, TINY_MODEL } from '../src/cli/testing/run-cli.ts';
import { load } from '../src/index.ts';
import { verifyKvp } from '../src/sessions/kvp-file-node.ts';

/** Conversations and documents in files, from the command line to the disk and back. */

const DOCUMENT = Array.from(
  { length: 60 },
  (_, i) => `Line ${i} of ${i * i} tells of ${['rain', 'snow', 'sun'][i % 3]}.`,
).join('\n');

let folder: string;
let file: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-sessions-'));
  file = join(folder, 'book.txt');
  await writeFile(file, DOCUMENT);
});
after(() => rm(folder, { recursive: true }));

interface Report {
  readonly text: string;
  readonly token_ids: readonly number[];
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
}

async function ask(...args: string[]): Promise<{ readonly report: Report; readonly stderr: string }> {
  const all = ['--model', TINY_MODEL, '--threads', '1', '--json', '--max-tokens', '12', ...args];
  const { exitCode, stdout, stderr } = await runCli(all, { env: { KVANT_CACHE_DIR: join(folder, 'cache') } });
  assert.equal(exitCode, 0, stderr);
  return { report: JSON.parse(stdout) as Report, stderr };
}

test('the second question about a document restores its pages, and is answered as if they were computed', async () => {
  const first = await ask('--file', file, 'Who tells the story?');
  assert.equal(first.report.cached_tokens, 0);
  assert.match(first.stderr, /kvant: kept [\d,]+ tokens of book\.txt/);
  const second = await ask('--file', file, 'When does it snow?');
  const computed = await ask('--file', file, '--no-cache', 'When does it snow?');
  assert.equal(computed.report.cached_tokens, 0);
  assert.deepEqual(second.report.token_ids, computed.report.token_ids);
  const { cached_tokens, prompt_tokens } = second.report;
  assert.ok(cached_tokens > prompt_tokens - 150, `${cached_tokens} of ${prompt_tokens} tokens`);
  assert.ok(second.stderr.startsWith(`kvant: restored ${cached_tokens.toLocaleString('en')} of `), second.stderr);
  assert.equal((await readdir(join(folder, 'cache'))).length, 1, 'one file for both questions');
});

test('a conversation goes on from its file as it would have gone on in the program; a damaged page only costs time', async () => {
  const path = join(folder, 'talk.kvp');
  const [question, more] = [`${DOCUMENT}\n\nWho?`, 'And when?'];
  await ask('--session', path, question);
  const saved = await readFile(path);
  const second = await ask('--session', path, more);
  assert.ok(second.report.cached_tokens > 256, `${second.report.cached_tokens} tokens`);
  await using model = await load({ model: TINY_MODEL, threads: 1 });
  const chat = model.chat();
  await chat.send(question, { maxTokens: 12 }).result;
  const expected = await chat.send(more, { maxTokens: 12 }).result;
  assert.deepEqual(second.report.token_ids, expected.tokenIds);

  const damaged = Uint8Array.from(saved);
  const { header } = await verifyKvp(path);
  damaged[saved.length - 2 * (64 + header.sealedPageBytes) + 100] ^= 1;
  await writeFile(path, damaged);
  const again = await ask('--session', path, more);
  assert.match(
    again.stderr,
    /^kvant: restored [\d,]+ of [\d,]+ tokens from .*\nkvant: .*: page \d+ of \d+ is bad \(its checksum does not match\).*; the rest is computed again\n/,
  );
  assert.deepEqual(again.report.token_ids, expected.tokenIds);
  assert.equal((await verifyKvp(path)).report.reason, undefined, 'the file is whole again');
});

test('a chat that the library saves is opened with its messages and its cache, in the format it was held in', async () => {
  const path = join(folder, 'chat.kvp');
  const options = { maxTokens: 12, kv: 'q8' };
  await using model = await load({ model: TINY_MODEL, threads: 1 });
  const chat = model.chat({ system: DOCUMENT });
  await chat.send('Who?', options).result;
  const saved = await chat.save(path, { title: 'about rain' });
  const fork = await chat.fork();
  const expected = await fork.send('When?', options).result;

  await using other = await load({ model: TINY_MODEL, threads: 1 });
  const opened = await other.openChat(path);
  assert.deepEqual(opened.messages, chat.messages);
  const { restored } = opened;
  assert.deepEqual([restored?.numPages, restored?.numTokens, restored?.kv], [saved.numPages, saved.numTokens, 'q8']);
  assert.deepEqual([restored?.title, restored?.problem], ['about rain', undefined]);
  const result = await opened.send('When?', { maxTokens: 12 }).result;
  assert.deepEqual([result.kv.format, result.cachedTokens], ['q8', saved.numTokens]);
  assert.deepEqual(result.tokenIds, expected.tokenIds);
  await opened.clear();
  assert.deepEqual(opened.messages, chat.messages.slice(0, 1), 'the system message stays');
});

test('a chat whose process is killed while it saves is whole when it is opened again, as it was or as it was to be', async () => {
  const path = join(folder, 'killed.kvp');
  const saver = fileURLToPath(new URL('support/save-chat-in-turn.ts', import.meta.url));
  await using model = await load({ model: TINY_MODEL, threads: 1 });
  for (let kill = 0; kill < 3; kill++) {
    const child = spawn(process.execPath, ['--no-warnings', saver, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    await Promise.race([once(child.stdout, 'data'), exit]);
    await sleep(Math.random() * 60);
    child.kill('SIGKILL');
    assert.deepEqual(await exit, [null, 'SIGKILL']);
    const chat = await model.openChat(path);
    const isSecond = chat.restored?.title === 'chat 1';
    assert.match(chat.messages[0].content, isSecond ? /^It snows/ : /^It rains/);
    assert.deepEqual([chat.messages.length, chat.restored?.problem], [3, undefined]);
    const { cachedTokens, promptTokens } = await chat.send('And then?', { maxTokens: 2 }).result;
    assert.ok(cachedTokens >= promptTokens - 128, `${cachedTokens} of ${promptTokens} tokens`);
  }
});

test('what cannot be saved or opened is told in full', async () => {
  await using model = await load({ model: TINY_MODEL, threads: 1 });
  const refused = (promise: Promise<unknown>, code: string, message: RegExp) =>
    assert.rejects(promise, { name: 'KvantError', code, message });
  const path = join(folder, 'none.kvp');
  await refused(model.chat().save(path), 'INVALID_OPTION', /^the chat has no messages yet: send one before saving it$/);
  await refused(
    model.saveSession('', { prompt: 'a' }),
    'INVALID_OPTION',
    /^option "path" must be the path of a file; got ""$/,
  );
  await refused(
    model.saveSession(path, {}),
    'INVALID_OPTION',
    /^give exactly one of prompt, messages and tokens; got none$/,
  );
  await refused(
    model.saveToFolder(folder, { prompt: 'a', limit: '2' }),
    'INVALID_OPTION',
    /^option "limit" must be bytes/,
  );
  await refused(model.saveSession(path, { prompt: 'a', kv: 'q7' }), 'INVALID_OPTION', /^option "kv" must be f16/);
  await refused(model.loadSession(path), 'FILE_ERROR', /^cannot read ".*none\.kvp": no such file or directory$/);
  await refused(model.openChat(path, { tenant: '' }), 'INVALID_OPTION', /^option "tenant" must be a text/);
  const prompt = DOCUMENT;
  await model.generate({ prompt, maxTokens: 0 }).result;
  assert.ok((await model.saveSession(path, { prompt })).numPages > 4);
  await refused(
    model.openChat(path),
    'SESSION_MISMATCH',
    /holds a text without messages, not a conversation: use loadSession/,
  );
  assert.deepEqual((await model.encode({ prompt })).length, (await model.loadSession(path)).tokens.length);
});
