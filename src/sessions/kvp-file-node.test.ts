import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { OpenForWriting, WritableHandle } from './atomic-file-node.ts';
import { isKvpFile, KvpFile, saveKvp, verifyKvp } from './kvp-file-node.ts';
import { encodeKvp, type KvpPageRead } from './kvp-pages.ts';
import { collect, randomSession } from './testing/random-session.ts';
import { turnSession } from './testing/turn-session.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-kvp-'));
});
afterEach(() => rm(folder, { recursive: true }));

const { header, pages } = randomSession({ numPages: 5 });
const other = randomSession({ numPages: 3, seed: 2 });

describe('saves', () => {
  it('and reads back the same, and leaves nothing beside', async () => {
    const path = join(folder, 'a.kvp');
    const { numBytes } = await saveKvp(path, header, pages);
    assert.equal((await stat(path)).size, numBytes);
    assert.deepEqual(await readFile(path), Buffer.from(await collect(encodeKvp(header, pages))));
    const file = await KvpFile.open(path);
    assert.equal(file.sizeBytes, numBytes);
    const found: KvpPageRead[] = [];
    const report = await file.readPages((page) => void found.push(page), 4);
    await file.close();
    assert.deepEqual(file.header, header);
    assert.deepEqual(
      found,
      pages.slice(0, 4).map((page, index) => ({ index, ...page })),
    );
    assert.deepEqual(report, { numPages: 5, numGood: 4, firstBad: undefined, reason: undefined });
    assert.deepEqual(await readdir(folder), ['a.kvp']);
    assert.ok(await isKvpFile(path));
  });

  it(
    'a file that only its owner may read, and keeps the mode of one that is there',
    { skip: isWindows() },
    async () => {
      const path = join(folder, 'a.kvp');
      await saveKvp(path, header, pages);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      await chmod(path, 0o640);
      await saveKvp(path, header, pages);
      assert.equal((await stat(path)).mode & 0o777, 0o640);
    },
  );

  it('through a link, which stays one', { skip: isWindows() }, async () => {
    await mkdir(join(folder, 'there'));
    const real = join(folder, 'there', 'real.kvp');
    const link = join(folder, 'link.kvp');
    await saveKvp(real, header, pages);
    await symlink(real, link);
    await saveKvp(link, other.header, other.pages);
    assert.equal(await readlink(link), real);
    assert.deepEqual((await verifyKvp(real)).header, other.header);
    assert.deepEqual(await readdir(join(folder, 'there')), ['real.kvp']);
  });

  it('while an older one of the same name is read to its end', { skip: isWindows() }, async () => {
    const path = join(folder, 'a.kvp');
    await saveKvp(path, header, pages);
    const file = await KvpFile.open(path);
    await saveKvp(path, other.header, other.pages);
    assert.equal((await file.readPages(() => undefined)).numGood, 5);
    await file.close();
    assert.deepEqual((await verifyKvp(path)).header, other.header);
  });

  it('from many writers at once: one of them wins, and every look in between finds a whole file', async () => {
    const path = join(folder, 'a.kvp');
    const sessions = Array.from({ length: 12 }, (_, seed) => randomSession({ seed, numPages: 1 + seed }));
    await saveKvp(path, header, pages);
    let isDone = false;
    const looking = (async () => {
      let numLooks = 0;
      for (; !isDone; numLooks++) assert.equal((await verifyKvp(path)).report.reason, undefined);
      return numLooks;
    })();
    await Promise.all(sessions.map((session) => saveKvp(path, session.header, session.pages)));
    isDone = true;
    assert.ok((await looking) > 0);
    const { header: found } = await verifyKvp(path);
    assert.ok(sessions.some((session) => session.header.tokens.join() === found.tokens.join()));
    assert.deepEqual(await readdir(folder), ['a.kvp']);
  });
});

describe('leaves the old file whole', () => {
  const path = (): string => join(folder, 'a.kvp');
  beforeEach(() => saveKvp(path(), header, pages));
  afterEach(async () => {
    const { header: found, report } = await verifyKvp(path());
    assert.deepEqual(found, header);
    assert.equal(report.reason, undefined);
    assert.deepEqual(await readdir(folder), ['a.kvp'], 'nothing is left beside it');
  });

  const fails = (code: string): Error => Object.assign(new Error('of the system'), { code });

  it('when the disk is full, in the middle of a page or of the header, and says so', async () => {
    for (const room of [0, 100, 1000]) {
      const saving = saveKvp(
        path(),
        other.header,
        other.pages,
        fullAfter(room, () => fails('ENOSPC')),
      );
      await assert.rejects(saving, {
        code: 'FILE_ERROR',
        message: `cannot write "${path()}": no space left on the device. What was there before is unchanged; make room, or choose a file on another disk`,
      });
    }
  });

  it('when the disk turns out to be full at the sync or at the end', async () => {
    for (const method of ['sync', 'close'] as const) {
      const openFile = withFailing(method, () => fails('EDQUOT'));
      const message = /the disk quota is exceeded\. What was there before is unchanged; make room/;
      await assert.rejects(saveKvp(path(), other.header, other.pages, openFile), { code: 'FILE_ERROR', message });
    }
  });

  it('when the pages fail to come, or are too few', async () => {
    const failing = function* (): Generator<(typeof pages)[0]> {
      yield other.pages[0];
      throw new Error('preempted');
    };
    await assert.rejects(saveKvp(path(), other.header, failing()), { message: 'preempted' });
    await assert.rejects(saveKvp(path(), other.header, other.pages.slice(0, 1)), { name: 'RangeError' });
  });

  it('when a write takes a part only, that is no failure', async () => {
    const openFile: OpenForWriting = async (name, flags, mode) => {
      const handle = await open(name, flags, mode);
      return {
        write: (bytes, offset, length) => handle.write(bytes, offset, Math.min(length, 7)),
        sync: () => handle.sync(),
        close: () => handle.close(),
      };
    };
    await saveKvp(path(), header, pages, openFile);
  });
});

describe('refuses, with an error that names the fix', () => {
  it('places where no file can be', async () => {
    await writeFile(join(folder, 'text'), 'a');
    const cases: readonly (readonly [string, RegExp])[] = [
      [join(folder, 'none', 'a.kvp'), /^cannot write ".*a\.kvp": no such file or directory.*choose another file$/],
      [join(folder, 'text', 'a.kvp'), /a part of the path is not a directory/],
      [folder, /it is a directory/],
      ...(isWindows() ? [] : [['/dev/null', /^cannot write "\/dev\/null": it is no regular file/] as const]),
    ];
    for (const [path, message] of cases) {
      await assert.rejects(saveKvp(path, header, pages), { code: 'FILE_ERROR', message });
    }
    await rm(join(folder, 'text'));
    assert.deepEqual(await readdir(folder), []);
  });

  it('files that are not there or are none', async () => {
    const missing = join(folder, 'none.kvp');
    const message = `cannot read "${missing}": no such file or directory`;
    await assert.rejects(KvpFile.open(missing), { code: 'FILE_ERROR', message });
    await assert.rejects(KvpFile.open(folder), { code: 'FILE_ERROR', message: /it is no regular file/ });
    const text = join(folder, 'a.txt');
    await writeFile(text, 'Once upon a time');
    await assert.rejects(verifyKvp(text), { code: 'SESSION_INVALID', message: /a\.txt" is no session file of Kvant/ });
    assert.equal(await isKvpFile(text), false);
  });
});

describe('what dead writers have left', () => {
  it('goes with the next save; what others may still be writing stays', async () => {
    const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
    const name = (host: string, pid: number, part: string): string => `.kvant-${host}-${pid}-${part.repeat(12)}.tmp`;
    const dead = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(dead, 'exit');
    const ofDead = name(machine, dead.pid!, 'a');
    const oursNow = name(machine, process.pid, 'b');
    const oursLongAgo = name(machine, process.pid, 'c');
    const elsewhereNow = name('00000000', dead.pid!, 'd');
    const elsewhereLongAgo = name('00000000', dead.pid!, 'e');
    const foreign = '.kvant-notes.tmp';
    const all = [ofDead, oursNow, oursLongAgo, elsewhereNow, elsewhereLongAgo, foreign];
    for (const file of all) await writeFile(join(folder, file), 'x');
    const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
    for (const file of [oursLongAgo, elsewhereLongAgo, foreign]) await utimes(join(folder, file), hoursAgo, hoursAgo);
    await saveKvp(join(folder, 'a.kvp'), header, pages);
    assert.deepEqual((await readdir(folder)).sort(), [oursNow, elsewhereNow, foreign, 'a.kvp'].sort());
  });
});

describe('kill -9 during a save', () => {
  const NUM_KILLS = 40;
  const SAVER = fileURLToPath(new URL('testing/save-in-turn.ts', import.meta.url));
  let killFolder: string;
  before(async () => {
    killFolder = await mkdtemp(join(tmpdir(), 'kvant-kill-'));
  });
  after(() => rm(killFolder, { recursive: true }));

  it(`leaves the old or the new file, whole, ${NUM_KILLS} times of ${NUM_KILLS}; leftovers go with the next save`, async (t) => {
    const path = join(killFolder, 'a.kvp');
    const expected = [0, 1].map((turn) => turnSession(turn).header);
    const numFound = [0, 0];
    let numLeftovers = 0;
    for (let kill = 0; kill < NUM_KILLS; kill++) {
      const child = spawn(process.execPath, ['--no-warnings', SAVER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exit = once(child, 'exit');
      await Promise.race([once(child.stdout, 'data'), exit]);
      assert.deepEqual(
        leftoversOf(await readdir(killFolder), child.pid!),
        [],
        'the save removed what the last kill left',
      );
      await sleep(Math.random() * 30);
      child.kill('SIGKILL');
      assert.deepEqual(await exit, [null, 'SIGKILL']);
      numLeftovers += (await readdir(killFolder)).filter((name) => name !== 'a.kvp').length;
      const { header: found, report } = await verifyKvp(path);
      const turn = found.title === 'turn 0' ? 0 : 1;
      assert.deepEqual(found, expected[turn]);
      assert.deepEqual(report, {
        numPages: found.numPages,
        numGood: found.numPages,
        firstBad: undefined,
        reason: undefined,
      });
      numFound[turn]++;
    }
    await saveKvp(path, header, pages);
    assert.deepEqual(await readdir(killFolder), ['a.kvp']);
    t.diagnostic(
      `${numLeftovers} kills left a temporary file; the file was of turn 0 ${numFound[0]} times, else of turn 1`,
    );
    assert.ok(numLeftovers > 0, 'no kill came during a save: the test has shown nothing');
  });

  function leftoversOf(names: readonly string[], livingPid: number): string[] {
    return names.filter((name) => name !== 'a.kvp' && !name.includes(`-${livingPid}-`));
  }
});

function isWindows(): boolean {
  return process.platform === 'win32';
}

/** Files on a disk that has room for so many bytes. */
function fullAfter(numBytes: number, error: () => Error): OpenForWriting {
  return async (path, flags, mode) => {
    const handle = await open(path, flags, mode);
    let room = numBytes;
    return {
      async write(bytes, offset, length) {
        if (room === 0) throw error();
        const { bytesWritten } = await handle.write(bytes, offset, Math.min(length, room));
        room -= bytesWritten;
        return { bytesWritten };
      },
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  };
}

function withFailing(method: keyof WritableHandle, error: () => Error): OpenForWriting {
  return async (path, flags, mode) => {
    const handle = await open(path, flags, mode);
    const failing = async (): Promise<never> => {
      if (method === 'close') await handle.close();
      throw error();
    };
    return {
      write: (bytes, offset, length) => handle.write(bytes, offset, length),
      sync: () => handle.sync(),
      close: () => handle.close(),
      [method]: failing,
    };
  };
}
