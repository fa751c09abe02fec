import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { load, type Model } from '../src/index.ts';
import { startServer, type TestServer } from '../src/server/testing/test-server.ts';
import { tinyModel } from './support/reference.ts';

/** Every file of examples/ as a program of its own, against a server with a key. */

const KEY = 'a-key-of-tests';
const FOLDER = fileURLToPath(new URL('../examples/', import.meta.url));
const MODEL = tinyModel('llama-d64.Q8_0.gguf');
const runFile = promisify(execFile);

let model: Model;
let server: TestServer;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-examples-'));
  model = await load({ model: MODEL, ctx: 1024, maxSequences: 2, threads: 1 });
  server = await startServer({ model, options: { maxSequences: 2, apiKey: [KEY] } });
});
after(async () => {
  await server.drain(0);
  await model.close();
  await rm(folder, { recursive: true });
});

/** Runs an example; its exit status must be 0. */
function run(name: string, args: readonly string[] = [], variables: Readonly<Record<string, string>> = {}) {
  const env = { ...process.env, KVANT_URL: `${server.url}/v1`, KVANT_API_KEY: KEY, ...variables };
  return runFile(process.execPath, [join(FOLDER, name), ...args], { env });
}

describe('examples', () => {
  const tested = ['ai-sdk.ts', 'ask-a-book.ts', 'langchain.ts', 'openai-client.ts', 'plain-fetch.ts', 'translate.ts'];

  it('are all tested here, and listed', async () => {
    const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.ts'));
    assert.deepEqual(names.sort(), tested);
  });

  it('openai-client.ts', async () => {
    const { stdout } = await run('openai-client.ts');
    assert.match(stdout, /^model: llama-d64\.q8_0$/m);
    assert.match(stdout, /^\d+ tokens in \(\d+ from the cache\), 60 out$/m);
    assert.match(stdout, /^an object: \{ name: .*, moons: \d+, hasRings: (true|false) \}$/m);
    assert.match(stdout, /^a response \((completed|incomplete)\): /m);
  });

  it('ai-sdk.ts', async () => {
    const { stdout } = await run('ai-sdk.ts');
    assert.match(stdout, /^\d+ tokens in, \d+ out$/m);
    assert.match(stdout, /^ended by: (stop|length)$/m);
    assert.match(stdout, /^an object: \{ title: .*, genre: '(fable|crime|romance)' \}$/ms);
  });

  it('langchain.ts', async () => {
    const { stdout } = await run('langchain.ts');
    assert.match(stdout, /^an object: \{ name: .*, isIsland: (true|false) \}$/m);
  });

  it('plain-fetch.ts', async () => {
    const { stdout } = await run('plain-fetch.ts', ['Tell me of the sea.']);
    assert.match(stdout, /^first token after \d+ ms, then [\d.]+ tokens\/s$/m);
    assert.match(stdout, /^KV cache: \d+ bytes as q4, \d+ as f16$/m);
    await assert.rejects(run('plain-fetch.ts', [], { KVANT_API_KEY: 'another-key' }), /401: .*invalid_api_key/);
  });

  it('translate.ts tells of each piece, and finds the instructions in the cache from the second one on', async () => {
    const path = join(folder, 'text.txt');
    await writeFile(path, 'The keeper lit the lamp.\n\nNo ship came that night.');
    const { stdout, stderr } = await run('translate.ts', [path, 'German']);
    assert.ok(stdout.length > 0);
    const cached = [...stderr.matchAll(/^piece (\d): first token after \d+ ms, .*, (\d+) of \d+ prompt tokens/gm)];
    assert.deepEqual(
      cached.map(([, number]) => number),
      ['1', '2'],
    );
    assert.ok(Number(cached[1][2]) >= 128, stderr);
  });

  it('ask-a-book.ts reads a book once, and restores it in the next run', async () => {
    const path = join(folder, 'book.txt');
    await writeFile(path, 'The sea is wide and the night is dark. The keeper climbs the stairs. '.repeat(20));
    const variables = { KVANT_MODEL: MODEL, KVANT_CTX: '1024', KVANT_PAGES: join(folder, 'pages') };
    const cachedIn = (stdout: string): number[] =>
      [...stdout.matchAll(/^\[(\d+) of \d+ tokens were in the cache/gm)].map(([, cached]) => Number(cached));
    const first = await run('ask-a-book.ts', [path, 'Who climbs?', 'What is dark?'], variables);
    assert.match(first.stdout, /^restored 0 tokens/);
    const [none, most] = cachedIn(first.stdout);
    assert.equal(none, 0);
    assert.ok(most > 256);
    const second = await run('ask-a-book.ts', [path, 'What is wide?'], variables);
    assert.ok(Number(/^restored (\d+) tokens/.exec(second.stdout)?.[1]) > 256, second.stdout);
    assert.ok(cachedIn(second.stdout)[0] > 256);
  });
});
