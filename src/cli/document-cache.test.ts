import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { KvantError } from '../errors.ts';
import { runProgram } from './program.ts';
import { FakeContext } from './testing/fake-context.ts';
import { fakeModel, type FakeModelOptions } from './testing/fake-model.ts';
import { until } from './testing/until.ts';

/** What the commands make of `--file`, with a model whose tokens are the codes of the last message's characters. */

const DOCUMENT = 'a book '.repeat(60).trimEnd();
const TOKENS = Array.from(DOCUMENT, (character) => character.charCodeAt(0));
const IN_FOLDER = { path: 'a.kvp', numPages: 6, numPagesInText: 6, numTokens: 388 };

let folder: string;
let file: string;
before(async () => {
  delete process.env['KVANT_CACHE_DIR'];
  folder = await mkdtemp(join(tmpdir(), 'kvant-document-'));
  file = join(folder, 'book.txt');
  await writeFile(file, `${DOCUMENT}\n`);
});
after(() => rm(folder, { recursive: true }));

async function run(args: readonly string[], model: FakeModelOptions = {}, stdin = '') {
  const { load, log } = fakeModel({ ctx: 1000, ...model });
  const context = new FakeContext({ load, stdin, env: { KVANT_CACHE_DIR: '/cache' } });
  const exitCode = await runProgram(args, context);
  return { exitCode, ...context.texts, log };
}

describe('the pages of a document', () => {
  test('are kept once its first question is answered, without the question', async () => {
    for (const [args, stdin] of [
      [['Who?'], ''],
      [['chat'], 'Who?\nWhere?\n'],
      [['--raw', 'Who?'], ''],
    ] as const) {
      const { exitCode, stderr, log } = await run(['--file', file, ...args], {}, stdin);
      assert.equal(exitCode, 0, stderr);
      assert.deepEqual(log.folderLoads, [{ folder: '/cache', options: { tokens: TOKENS } }]);
      assert.deepEqual(log.folderSaves, [{ folder: '/cache', options: { tokens: TOKENS, title: 'book.txt' } }]);
      assert.match(stderr, /tok\/s.*\nkvant: kept 260 tokens of book\.txt in \/cache \(2\.0 MB\)\n/);
    }
  });

  test('are restored for the next one, and not written again', async () => {
    const { stderr, log } = await run(['--file', file, '--cache-dir', '/fast', 'Who?'], { inFolder: IN_FOLDER });
    assert.match(stderr, /^kvant: restored 388 of 419 tokens of book\.txt\n/);
    assert.deepEqual([log.folderLoads[0].folder, log.folderSaves], ['/fast', []]);
  });

  test('that are damaged are computed and written again', async () => {
    const inFolder = { ...IN_FOLDER, numPages: 2, numTokens: 132, problem: 'page 3 of 6 is bad' };
    const { stderr, log } = await run(['--file', file, 'Who?'], { inFolder });
    assert.match(stderr, /^kvant: restored 132 of .*\nkvant: a\.kvp: page 3 of 6 is bad; the rest is computed again\n/);
    assert.equal(log.folderSaves.length, 1);
  });

  test('that are few, or not wanted, are left alone', async () => {
    const short = join(folder, 'short.txt');
    await writeFile(short, DOCUMENT.slice(0, 259));
    for (const args of [
      ['--file', short, 'Who?'],
      ['--file', file, '--no-cache', 'Who?'],
      ['--file', file, '--no-cache', 'chat'],
    ]) {
      const { exitCode, log } = await run(args, {}, 'Who?\n');
      assert.equal(exitCode, 0);
      assert.deepEqual([log.folderLoads, log.folderSaves], [[], []]);
    }
    const long = await run(['--file', file, 'Who?'], { ctx: 425 });
    assert.deepEqual([long.log.folderLoads, long.log.folderSaves], [[], []], 'generate refuses what is too long');
  });

  test('are no reason to fail: a folder that cannot be used is a warning', async () => {
    const error = new KvantError('FILE_ERROR', 'cannot read "/cache": permission denied');
    const { exitCode, stdout, stderr } = await run(['--file', file, 'Who?'], { inFolder: error, saveError: error });
    assert.deepEqual([exitCode, stdout], [0, 'fine\n']);
    const warnings = stderr.split('\n').filter((line) => line.includes('/cache'));
    assert.deepEqual(warnings, [
      'kvant: the cache of book.txt cannot be restored: cannot read "/cache": permission denied',
      'kvant: the cache of book.txt was not kept: cannot read "/cache": permission denied',
    ]);
  });

  test('of an answer that was interrupted are not kept', async () => {
    async function* endless(_: string, signal: AbortSignal): AsyncGenerator<string> {
      yield 'word';
      await until(() => signal.aborted);
    }
    const { load, log } = fakeModel({ answer: endless, ctx: 1000 });
    const context = new FakeContext({ load, stdin: '' });
    const exitCode = runProgram(['--file', file, '--cache-dir', '/cache', 'Who?'], context);
    await until(() => context.texts.stdout === 'word');
    context.interrupt();
    assert.equal(await exitCode, 130);
    assert.deepEqual(log.folderSaves, []);
  });

  test('need a document', async () => {
    const { exitCode, stderr } = await run(['--cache-dir', '/fast', 'Who?']);
    assert.equal(exitCode, 2);
    assert.match(stderr, /^kvant: --cache-dir needs --file FILE, whose pages it keeps, and no --session/);
  });
});
