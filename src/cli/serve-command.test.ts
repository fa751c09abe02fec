import assert from 'node:assert/strict';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { runProgram } from './program.ts';
import { FakeContext } from './testing/fake-context.ts';
import { runCli, TINY_MODEL, type CliRun } from './testing/run-cli.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-serve-'));
});
after(() => rm(folder, { recursive: true }));

async function config(text: string): Promise<string> {
  const path = join(folder, 'serve.json');
  await writeFile(path, text);
  return path;
}

const SERVE = ['serve', '--model', TINY_MODEL, '--threads', '1', '--ctx', '512', '--port', '0'];

/** Runs the command without a model: it must end before it wants one. */
async function refused(args: readonly string[]): Promise<{ readonly exitCode: number; readonly stderr: string }> {
  const context = new FakeContext();
  const exitCode = await runProgram([...SERVE, ...args], context);
  return { exitCode, stderr: context.texts.stderr };
}

/** Serves until the test has asked it what it wants. */
async function served(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  ask: (url: string, child: ChildProcessWithoutNullStreams) => Promise<unknown>,
): Promise<CliRun> {
  let asked: Promise<unknown> = Promise.resolve();
  let hasAsked = false;
  const run = await runCli([...SERVE, ...args], {
    env,
    onStart: (child) => {
      let log = '';
      child.stderr.on('data', (text: string) => {
        log += text;
        const url = /"address":"([^"]+)"/.exec(log)?.[1];
        if (url === undefined || hasAsked) return;
        hasAsked = true;
        asked = ask(url, child).catch((error: unknown) => {
          child.kill('SIGKILL');
          return error;
        });
      });
    },
  });
  const failure = await asked;
  if (failure instanceof Error) throw failure;
  assert.ok(hasAsked, run.stderr);
  return run;
}

describe('kvant serve refuses', () => {
  const cases: readonly (readonly [title: string, args: readonly string[], exitCode: number, RegExp])[] = [
    [
      'an address that others reach, without a key',
      ['--host', '0.0.0.0'],
      2,
      /refused to listen on 0\.0\.0\.0 without an API key.*--api-key KEY or KVANT_API_KEY.*127\.0\.0\.1/,
    ],
    [
      'a key that is short, without showing it',
      ['--api-key', 'short'],
      2,
      /^kvant: --api-key \(not shown\): must be at least 8 printable characters/,
    ],
    ['an origin that is none', ['--cors', 'example'], 2, /--cors example: must be an origin such as/],
    ['a port that is none', ['--port', '70000'], 2, /--port 70000: must be a whole number from 0 to 65535/],
    ['a missing file', ['--config', 'no-such.json'], 1, /cannot read "no-such\.json": no such file or directory/],
    ['a missing prefix', ['--public-prefix', 'no-such.txt'], 1, /cannot read "no-such\.txt"/],
  ];
  for (const [title, args, exitCode, message] of cases) {
    it(title, async () => {
      const run = await refused(args);
      assert.match(run.stderr, message);
      assert.equal(run.exitCode, exitCode);
    });
  }

  it('a file with an unknown key, a wrong value or no JSON, and names it', async () => {
    const file = async (text: string): Promise<string> => (await refused(['--config', await config(text)])).stderr;
    const unknown = /the file .*serve\.json has an unknown key "colour"; known keys: model, kv,/;
    assert.match(await file('{"colour": "red"}'), unknown);
    assert.match(await file('{"maxQueue": "many"}'), /serve\.json: "maxQueue" must be a whole number from 0 to/);
    assert.match(await file('{'), /serve\.json is not valid JSON/);
  });
});

describe('kvant serve', () => {
  it('takes flags before the environment before a file, answers, and ends well when it is told to', async () => {
    const path = await config('{"name": "of-file", "kv": "q8", "maxTokens": 3, "apiKey": ["key-of-the-file"]}');
    const env = { KVANT_KV: 'q6', KVANT_NAME: 'of-env' };
    const run = await served(['--config', path, '--name', 'of-flag'], env, async (url, child) => {
      const headers = { authorization: 'Bearer key-of-the-file', 'content-type': 'application/json' };
      const models = (await (await fetch(`${url}/v1/models`, { headers })).json()) as {
        data: [{ id: string; kvant: { kv: string; max_tokens: number } }];
      };
      const [{ id, kvant }] = models.data;
      assert.deepEqual([id, kvant.kv, kvant.max_tokens], ['of-flag', 'q6', 3]);
      const body = JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }] });
      const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
      assert.equal(answer.status, 200);
      child.kill('SIGTERM');
    });
    assert.equal(run.exitCode, 0, run.stderr);
    assert.equal(run.stdout, '');
    const lines = run.stderr.trim().split('\n');
    assert.ok(lines.every((line) => line.startsWith('{"level":')));
    assert.doesNotMatch(run.stderr, /key-of-the-file|Hello/);
    assert.match(run.stderr, /"msg":"shutting down"/);
  });

  it('takes keys from the environment, lets them share the public prefix, and ends at once at a second signal', async () => {
    const text = 'Answer as the sea would. '.repeat(20);
    const prefix = join(folder, 'prefix.txt');
    await writeFile(prefix, text);
    const env = { KVANT_API_KEYS: 'first-secret,second-secret' };
    const run = await served(['--public-prefix', prefix], env, async (url, child) => {
      const headers = { 'x-api-key': 'second-secret', 'content-type': 'application/json' };
      assert.equal((await fetch(`${url}/v1/models`)).status, 401);
      const cached = async (key: string): Promise<number> => {
        const messages = [
          { role: 'system', content: text },
          { role: 'user', content: `I am ${key}.` },
        ];
        const answer = await fetch(`${url}/v1/chat/completions`, {
          method: 'POST',
          headers: { ...headers, 'x-api-key': key },
          body: JSON.stringify({ messages, max_tokens: 1 }),
        });
        return ((await answer.json()) as { kvant: { cached_tokens: number } }).kvant.cached_tokens;
      };
      assert.equal(await cached('first-secret'), 0);
      assert.ok((await cached('second-secret')) >= 64);
      const body = JSON.stringify({
        messages: [{ role: 'user', content: 'Hello' }],
        ...{ stream: true, logit_bias: { 0: -100, 1: -100, 2: -100 } },
      });
      const answer = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body });
      assert.equal(answer.status, 200);
      child.kill('SIGTERM');
      // Signals that come close together count as one.
      await new Promise((resolve) => setTimeout(resolve, 150));
      child.kill('SIGINT');
      await answer.text().catch(() => undefined);
    });
    assert.equal(run.exitCode, 130, run.stderr);
  });
});
