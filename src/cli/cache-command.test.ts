import assert from 'node:assert/strict';
import { mkdir, mkdtemp, open, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CacheFolder } from '../sessions/cache-folder-node.ts';
import { saveKvp } from '../sessions/kvp-file-node.ts';
import type { KvpHeader } from '../sessions/kvp-header.ts';
import { randomSession } from '../sessions/testing/random-session.ts';
import type { CacheFileReport } from './cache-ls.ts';
import type { RemovedReport } from './cache-rm.ts';
import type { VerifiedFileReport } from './cache-verify.ts';
import { runProgram } from './program.ts';
import { FakeContext } from './testing/fake-context.ts';
import { runCli } from './testing/run-cli.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-cli-cache-'));
});
afterEach(() => rm(folder, { recursive: true }));

const DAY_MS = 86_400_000;

interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function cache(...args: string[]): Promise<Run> {
  const context = new FakeContext({ stdin: '', env: { KVANT_CACHE_DIR: folder } });
  const exitCode = await runProgram(['cache', ...args], context);
  return { exitCode, ...context.texts };
}

async function cacheJson<T>(exitCode: number, ...args: string[]): Promise<T> {
  const run = await cache(...args, '--json');
  assert.deepEqual([run.stderr, run.exitCode], ['', exitCode]);
  return JSON.parse(run.stdout) as T;
}

/** Saves a session of 3 pages of 4 tokens, with 2 in the sink page and 5 after them, used so many days ago. */
async function save(name: string, daysAgo = 0, changes: Partial<KvpHeader> = {}): Promise<string> {
  const { header, pages } = randomSession({ numPages: 3, changes });
  const path = join(folder, name);
  await saveKvp(path, header, pages);
  const time = new Date(Date.now() - daysAgo * DAY_MS);
  await utimes(path, time, time);
  return path;
}

/** Flips a bit in the last page. */
async function damage(path: string): Promise<void> {
  const file = await open(path, 'r+');
  const { size } = await file.stat();
  const byte = new Uint8Array(1);
  await file.read(byte, 0, 1, size - 3);
  await file.write(Uint8Array.of(byte[0] ^ 16), 0, 1, size - 3);
  await file.close();
}

describe('kvant cache ls', () => {
  it('prints a line for each file of the cache folder', async () => {
    await save('a.kvp', 3, { title: 'book.txt', modelName: 'Model One' });
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Who is\nthe hero? '.repeat(9) },
    ] as const;
    await save('b.kvp', 0.1, { messages, kvFormat: 'k8v4' });
    const { stdout, stderr, exitCode } = await cache('ls');
    assert.deepEqual([stderr, exitCode], ['', 0]);
    const pad = ' '.repeat(folder.length);
    assert.deepEqual(stdout.split('\n'), [
      `model         kv    tokens  pages    size     used  file${pad}    about`,
      `Model One     q4        19      3  1.2 kB  3 d ago  ${folder}/a.kvp  book.txt`,
      `Random Model  k8v4      19      3  1.4 kB  2 h ago  ${folder}/b.kvp  Who is the hero? Who is the hero? Who is the hero? Who is t…`,
      '',
      '2 files, 2.6 kB',
      '',
    ]);
  });

  it('prints nothing that moves the cursor, whatever a file says', async () => {
    const evil = '\u001b[2Jboo\u0007\u202e\r\nmodel\u009b1m';
    await save('a.kvp', 0, { modelName: evil, title: evil, kvFormat: evil });
    const { stdout } = await cache('ls');
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    assert.match(stdout, /\[2Jboo model 1m/);
  });

  it('--json has the same and more', async () => {
    const path = await save('a.kvp', 3, { messages: [{ role: 'user', content: 'Hi' }] });
    const { places, files } = await cacheJson<{ places: string[]; files: CacheFileReport[] }>(0, 'ls');
    assert.deepEqual(places, [folder]);
    const [{ used_at, bytes, ...file }] = files;
    assert.ok(Math.abs(Date.now() - Date.parse(used_at) - 3 * DAY_MS) < 60_000);
    assert.ok(bytes > 1000);
    assert.deepEqual(file, {
      path,
      session: {
        identity: 'a'.repeat(64),
        model: 'Random Model',
        model_fingerprint: `sha256:${'b'.repeat(64)}`,
        kv: 'q4',
        tokens: 19,
        pages: 3,
        page_size: 4,
        title: null,
        messages: 1,
        created_at: '2026-01-31T12:00:00.000Z',
        kvant_version: '0.1.0',
      },
      error: null,
    });
  });

  it('tells on stderr what cannot be read, and fails only if it was asked for that', async () => {
    await save('a.kvp');
    const cut = await save('cut.kvp');
    await truncate(cut, 100);
    const all = await cache('ls');
    assert.match(all.stderr, /^kvant: the session file ".*cut\.kvp" is damaged: it ends within its header\. .*\n$/);
    assert.match(all.stdout, /a\.kvp\n\n1 file, /);
    assert.equal(all.exitCode, 0);
    assert.equal((await cache('ls', cut, folder)).exitCode, 1);
    const { files } = await cacheJson<{ files: CacheFileReport[] }>(1, 'ls', cut);
    assert.deepEqual([files[0].session, files[0].error?.code], [null, 'SESSION_INVALID']);
  });

  it('takes files, folders, and another cache folder', async () => {
    const path = await save('a.kvp');
    await mkdir(join(folder, 'empty'));
    assert.match((await cache('ls', path)).stdout, /a\.kvp\n\n1 file/);
    assert.match((await cache('ls', folder, path)).stdout, /\n2 files/);
    const empty = { stdout: `no session files in ${join(folder, 'empty')}\n`, stderr: '', exitCode: 0 };
    assert.deepEqual(await cache('ls', join(folder, 'empty')), empty);
    assert.deepEqual(await cache('ls', '--cache-dir', join(folder, 'empty')), empty);
    const none = join(folder, 'none');
    assert.equal((await cache('ls', '--cache-dir', none)).stdout, `no session files in ${none}\n`);
  });
});

describe('kvant cache verify', () => {
  it('says of whole files that they are', async () => {
    const path = await save('a.kvp');
    const empty = join(folder, 'empty.kvp');
    const { header } = randomSession({ numPages: 0 });
    await saveKvp(empty, header, []);
    assert.deepEqual(await cache('verify'), {
      stdout: `${path}: whole: 3 pages of 14 tokens\n${empty}: whole: 0 pages of 0 tokens\n`,
      stderr: '',
      exitCode: 0,
    });
  });

  it('says up to where a damaged file can be used, and exits with 1', async () => {
    const path = await save('a.kvp');
    await save('b.kvp');
    await damage(path);
    const bad = await cache('verify');
    const reason = 'its checksum does not match';
    const line = `${path}: bad: 2 of 3 pages can be used, 10 tokens; of the next one, ${reason}; the rest is computed again`;
    assert.deepEqual(bad.stdout.split('\n'), [line, `${join(folder, 'b.kvp')}: whole: 3 pages of 14 tokens`, '']);
    assert.deepEqual([bad.stderr, bad.exitCode], ['', 1]);
    const { files } = await cacheJson<{ files: VerifiedFileReport[] }>(1, 'verify', path);
    const report = { path, whole: false, pages: 3, good_pages: 2, first_bad: 2, usable_tokens: 10, reason };
    assert.deepEqual(files, [report]);
  });

  it('of files that are no session, too short, or too long', async () => {
    const long = await save('long.kvp');
    await writeFile(long, 'x', { flag: 'a' });
    const cut = await save('cut.kvp');
    await truncate(cut, 90);
    const text = join(folder, 'text.kvp');
    await writeFile(text, 'Once upon a time');
    const cases = [
      [long, /long\.kvp: bad: 1 bytes follow its last page; all 3 pages can be used\n$/],
      [cut, /cut\.kvp: bad: the session file ".*" is damaged: it ends within its header\./],
      [text, /text\.kvp: bad: ".*text\.kvp" is no session file of Kvant/],
    ] as const;
    for (const [path, message] of cases) {
      const run = await cache('verify', path);
      assert.match(run.stdout, message);
      assert.deepEqual([run.stderr, run.exitCode], ['', 1]);
    }
    const { files } = await cacheJson<{ files: VerifiedFileReport[] }>(1, 'verify', cut);
    assert.deepEqual([files[0].pages, files[0].good_pages, files[0].usable_tokens], [null, 0, 0]);
  });

  it('says where there is nothing', async () => {
    assert.deepEqual(await cache('verify'), { stdout: `no session files in ${folder}\n`, stderr: '', exitCode: 0 });
  });
});

describe('kvant cache rm', () => {
  const names = async (): Promise<string[]> => (await readdir(folder)).sort();

  it('removes the files that are named, damaged ones, too', async () => {
    const [a, b] = [await save('a.kvp'), await save('b.session')];
    await save('c.kvp');
    await truncate(b, 50);
    const { stdout, exitCode } = await cache('rm', a, b, a);
    assert.match(stdout, /^removed 2 files, 1\.\d kB\n$/);
    assert.equal(exitCode, 0);
    assert.deepEqual(await names(), ['c.kvp']);
  });

  it('--all removes what is a session file, and leaves the rest', async () => {
    await save('a.kvp');
    await truncate(await save('cut.kvp'), 70);
    await writeFile(join(folder, 'cat.kvp'), 'a picture');
    await writeFile(join(folder, 'notes.txt'), 'x');
    const { header, pages } = randomSession();
    await new CacheFolder(folder).save(header, pages);
    const run = await cache('rm', '--all');
    assert.match(run.stdout, /^removed 3 files, /);
    assert.equal(run.stderr, `kvant: left "${join(folder, 'cat.kvp')}": it is no session file\n`);
    assert.equal(run.exitCode, 0);
    assert.deepEqual(await names(), ['cat.kvp', 'notes.txt']);
  });

  it('--older-than removes by the time of the last use', async () => {
    const old = await save('old.kvp', 31);
    await save('new.kvp', 29);
    const { bytes, ...report } = await cacheJson<RemovedReport>(0, 'rm', '--older-than', '30d');
    assert.deepEqual(report, { removed: [old], left: [] });
    assert.ok(bytes > 1000);
    assert.deepEqual(await names(), ['new.kvp']);
    assert.match((await cache('rm', '--older-than', '800h')).stdout, /^removed 0 files/);
    assert.match((await cache('rm', '--older-than', '0.5h')).stdout, /^removed 1 file,/);
  });

  it('refuses before anything is removed', async () => {
    const path = await save('a.kvp');
    const text = join(folder, 'book.txt');
    await writeFile(text, 'Once upon a time');
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [[], 2, /^kvant: say what to remove: files, --all, or --older-than AGE\n$/],
      [['--all', path], 2, /^kvant: say one of these only: files, --all, or --older-than AGE\n$/],
      [['--all', '--older-than', '3d'], 2, /say one of these only/],
      [['--older-than', 'a month'], 2, /^kvant: --older-than a month: must be an age such as 30d, 12h or 2w/],
      [['--older-than', '-3d'], 2, /--older-than/],
      [[path, text], 1, /^kvant: ".*book\.txt" is no session file of Kvant: nothing was removed\n$/],
      [[path, join(folder, 'none.kvp')], 1, /^kvant: cannot read ".*none\.kvp": no such file or directory\n$/],
      [[path, folder], 2, /^kvant: ".*" is a folder: name files, or give --all --cache-dir .*\n$/],
      [['--all', '--cache-dir', ''], 2, /^kvant: --cache-dir "": must be the path of a folder\n$/],
      [['--all', '--cache-dir', text], 1, /^kvant: cannot read the cache folder ".*book\.txt": .*set KVANT_CACHE_DIR/],
    ];
    for (const [args, exitCode, message] of cases) {
      const run = await cache('rm', ...args);
      assert.match(run.stderr, message);
      assert.deepEqual([run.stdout, run.exitCode], ['', exitCode], args.join(' '));
    }
    assert.deepEqual(await names(), ['a.kvp', 'book.txt']);
  });
});

describe('kvant cache', () => {
  it('explains itself and its commands', async () => {
    const group = await cache('--help');
    assert.equal(group.exitCode, 0);
    assert.match(group.stdout, /\n {2}ls \[options\] \[path\.\.\.\] .*\n {2}verify .*\n {2}rm /s);
    assert.match(group.stdout, /Examples:\n {2}kvant cache ls\n/);
    for (const [name, flags] of [
      ['ls', ['cache-dir', 'json']],
      ['verify', ['cache-dir', 'json']],
      ['rm', ['all', 'older-than', 'cache-dir', 'json']],
    ] as const) {
      const { stdout, exitCode } = await cache('help', name);
      assert.equal(exitCode, 0);
      assert.match(stdout, new RegExp(`^Usage: kvant cache ${name} `));
      assert.match(stdout, new RegExp(`Examples:\n {2}kvant cache ${name}`));
      for (const flag of flags) assert.match(stdout, new RegExp(`--${flag}\\b`));
    }
  });

  it('runs as a program, with the folder from the environment', async () => {
    const path = await save('a.kvp');
    const env = { KVANT_CACHE_DIR: folder };
    const verified = await runCli(['cache', 'verify'], { env });
    assert.deepEqual(verified, { exitCode: 0, stdout: `${path}: whole: 3 pages of 14 tokens\n`, stderr: '' });
    await damage(path);
    assert.equal((await runCli(['cache', 'verify', path])).exitCode, 1);
    const missing = await runCli(['cache', 'ls', join(folder, 'none')]);
    assert.match(missing.stderr, /^kvant: cannot read ".*none": no such file or directory\n$/);
    assert.equal(missing.exitCode, 1);
  });
});
