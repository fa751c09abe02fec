import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CacheFolder, DEFAULT_CACHE_LIMIT_BYTES } from './cache-folder-node.ts';
import { defaultCachePath } from './cache-path-node.ts';
import { saveKvp, verifyKvp } from './kvp-file-node.ts';
import { kvpFileBytes } from './kvp-pages.ts';
import { randomSession } from './testing/random-session.ts';

let root: string;
let folder: CacheFolder;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'kvant-cache-'));
  folder = new CacheFolder(join(root, 'not', 'there'));
});
afterEach(() => rm(root, { recursive: true }));

const IDENTITY = 'a'.repeat(64);
const names = async (): Promise<string[]> => (await readdir(folder.path)).sort();

/** Saves a session of so many pages, used so many days ago. */
async function save(seed: number, daysAgo: number, numPages = 3): Promise<string> {
  const { header, pages } = randomSession({ seed, numPages });
  const { path } = await folder.save(header, pages);
  const time = new Date(Date.now() - daysAgo * 86_400_000);
  await utimes(path, time, time);
  return path;
}

describe('the default folder', () => {
  const home = '/home/ada';
  const cases = [
    ['linux', {}, '/home/ada/.cache/kvant'],
    ['linux', { XDG_CACHE_HOME: '/fast' }, '/fast/kvant'],
    ['linux', { XDG_CACHE_HOME: 'relative' }, '/home/ada/.cache/kvant'],
    ['linux', { XDG_CACHE_HOME: '/fast', KVANT_CACHE_DIR: 'mine' }, 'mine'],
    ['linux', { XDG_CACHE_HOME: '', KVANT_CACHE_DIR: '' }, '/home/ada/.cache/kvant'],
    ['darwin', {}, '/home/ada/Library/Caches/kvant'],
    ['darwin', { XDG_CACHE_HOME: '/fast' }, '/fast/kvant'],
    ['win32', { LOCALAPPDATA: 'C:\\Users\\ada\\Local' }, 'C:\\Users\\ada\\Local\\kvant\\cache'],
  ] as const;
  for (const [platform, env, expected] of cases) {
    it(`on ${platform} with ${JSON.stringify(env)} is ${expected}`, () => {
      assert.equal(defaultCachePath({ platform, env, home }), expected);
    });
  }

  it('on Windows without LOCALAPPDATA lies in the home folder', () => {
    const path = defaultCachePath({ platform: 'win32', env: {}, home: 'C:\\Users\\ada' });
    assert.equal(path, 'C:\\Users\\ada\\AppData\\Local\\kvant\\cache');
  });
});

describe('a cache folder', () => {
  it('is empty as long as it is not there, and made by the first save', async () => {
    assert.deepEqual(await folder.list(), []);
    assert.equal(await folder.best(IDENTITY, Uint32Array.of(1)), undefined);
    assert.deepEqual(await folder.makeRoom(1), []);
    const path = await save(1, 0);
    assert.deepEqual(
      (await folder.list()).map((entry) => entry.path),
      [path],
    );
  });

  it('has a name for each identity and text', async () => {
    const [a, b] = [Uint32Array.of(1, 2), Uint32Array.of(12)];
    assert.equal(await folder.pathFor(IDENTITY, a), await folder.pathFor(IDENTITY, Uint32Array.from(a)));
    const all = [
      [IDENTITY, a],
      [IDENTITY, b],
      [`${'a'.repeat(63)}b`, a],
    ] as const;
    const paths = await Promise.all(all.map(([identity, tokens]) => folder.pathFor(identity, tokens)));
    assert.equal(new Set(paths).size, 3);
    for (const path of paths) assert.match(basename(path), /^a{16}-[0-9a-f]{32}\.kvp$/);
  });

  it('lists what is broken with the reason, and what is no session, too; folders and other names not', async () => {
    const whole = await save(1, 0);
    const cut = await save(2, 0);
    const foreign = join(folder.path, 'b.kvp');
    await truncate(cut, 200);
    await writeFile(foreign, 'A picture of a cat');
    await mkdir(join(folder.path, 'c.kvp'));
    await symlink(join(folder.path, 'nowhere'), join(folder.path, 'd.kvp'));
    await writeFile(join(folder.path, 'notes.txt'), 'x');
    const entries = new Map((await folder.list()).map((entry) => [entry.path, entry]));
    assert.deepEqual([...entries.keys()].sort(), [whole, cut, foreign].sort());
    assert.deepEqual(entries.get(whole)?.header, randomSession({ seed: 1, numPages: 3 }).header);
    for (const [path, reason] of [
      [cut, /damaged: it ends within its header/],
      [foreign, /no session file of Kvant/],
    ] as const) {
      assert.equal(entries.get(path)?.error?.code, 'SESSION_INVALID');
      assert.match(entries.get(path)?.error?.message ?? '', reason);
    }
  });

  it('refuses to be a file, and says how to have another', async () => {
    await writeFile(join(root, 'file'), 'x');
    const file = new CacheFolder(join(root, 'file'));
    const { header, pages } = randomSession();
    const message = /the cache folder ".*file": .*; set KVANT_CACHE_DIR to another folder$/;
    await assert.rejects(file.list(), { code: 'FILE_ERROR', message });
    await assert.rejects(file.save(header, pages), { code: 'FILE_ERROR', message });
  });
});

describe('the best file for a text', () => {
  /** Saves what a text of these tokens would be saved as: pages of 4 tokens behind 2 of the sink page. */
  async function saveTokens(tokens: readonly number[], identity = IDENTITY): Promise<string> {
    const numPages = Math.floor((tokens.length - 2) / 4);
    const { header, pages } = randomSession({ numPages, changes: { tokens: Uint32Array.from(tokens), identity } });
    return (await folder.save(header, pages)).path;
  }
  const best = async (tokens: readonly number[]): Promise<readonly unknown[] | undefined> => {
    const match = await folder.best(IDENTITY, Uint32Array.from(tokens));
    return match && [match.path, match.numPages, match.numTokens];
  };

  it('has the longest beginning in whole pages, of its identity', async () => {
    const text = Array.from({ length: 40 }, (_, i) => i);
    const short = await saveTokens(text.slice(0, 11));
    const long = await saveTokens([...text.slice(0, 19), ...text]);
    await saveTokens(text, 'c'.repeat(64));
    await saveTokens(text.map((token) => token + 1));
    assert.deepEqual(await best(text), [long, 4, 18]);
    assert.deepEqual(await best(text.slice(0, 17)), [long, 3, 14]);
    await utimes(long, 0, 0);
    assert.deepEqual(await best([...text.slice(0, 10), 99]), [short, 2, 10]);
    assert.equal(await best(text.slice(0, 5)), undefined);
    assert.equal(await best([0, 1, 2, 3, 4, 99]), undefined);
    assert.equal(await best([]), undefined);
    // Tokens behind the last page are no reason to take a file.
    await rm(long);
    assert.deepEqual(await best(text), [short, 2, 10]);
  });

  it('is, of equal ones, the one that was used last', async () => {
    const text = Array.from({ length: 12 }, (_, i) => i);
    const one = await saveTokens(text);
    const two = await saveTokens([...text.slice(0, 11), 99]);
    const hourAgo = new Date(Date.now() - 3_600_000);
    await Promise.all([one, two].map((path) => utimes(path, hourAgo, hourAgo)));
    await folder.markUsed(two);
    assert.equal((await best(text))?.[0], two);
    await utimes(two, 0, 0);
    assert.equal((await best(text))?.[0], one);
    await folder.markUsed(join(folder.path, 'gone.kvp'));
  });
});

describe('makes room', () => {
  it('by removing what was not used for longest, and no more than needed', async () => {
    const paths = [await save(1, 3), await save(2, 9), await save(3, 1), await save(4, 6)];
    const [{ sizeBytes }] = await folder.list();
    assert.deepEqual(await folder.makeRoom(sizeBytes, 5 * sizeBytes), []);
    assert.deepEqual(await folder.makeRoom(sizeBytes + 1, 5 * sizeBytes), [paths[1]]);
    await folder.markUsed(paths[3]);
    assert.deepEqual(await folder.makeRoom(3 * sizeBytes, 4 * sizeBytes), [paths[0], paths[2]]);
    assert.deepEqual(await names(), [basename(paths[3])]);
  });

  it('and leaves alone what is not its own: sessions under other names, files that are none', async () => {
    const { header, pages } = randomSession();
    const damaged = await save(1, 5);
    await truncate(damaged, 100);
    await saveKvp(join(folder.path, 'chat.kvp'), header, pages);
    await writeFile(join(folder.path, 'cat.kvp'), 'x'.repeat(10_000));
    assert.deepEqual(await folder.makeRoom(50, 50), [damaged]);
    assert.deepEqual(await names(), ['cat.kvp', 'chat.kvp']);
  });

  it('refuses what is more than the limit, before it removes anything', async () => {
    const path = await save(1, 5);
    const message =
      /^2000\.0 MB are more than the cache folder ".*" may hold \(1999\.0 MB\): save to a file of your own$/;
    await assert.rejects(folder.makeRoom(2e9, 1.999e9), { code: 'FILE_ERROR', message });
    assert.deepEqual(await names(), [basename(path)]);
    assert.equal(DEFAULT_CACHE_LIMIT_BYTES, 2e9);
  });

  it('for several savers at once, who stay below the limit and leave whole files', async () => {
    const sizeBytes = await kvpFileBytes(randomSession({ numPages: 3 }).header);
    const saving = Array.from({ length: 20 }, async (_, seed) => {
      const { header, pages } = randomSession({ seed, numPages: 3 });
      await new CacheFolder(folder.path).save(header, pages, 5 * sizeBytes);
      await folder.best(IDENTITY, header.tokens);
    });
    await Promise.all(saving);
    await folder.makeRoom(0, 5 * sizeBytes);
    const entries = await folder.list();
    assert.ok(entries.length > 0);
    assert.ok(entries.reduce((sum, entry) => sum + entry.sizeBytes, 0) <= 5 * sizeBytes);
    for (const { path } of entries) assert.equal((await verifyKvp(path)).report.reason, undefined);
  });
});
