import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { openLocalFile } from './open-file-node.ts';

describe('openLocalFile', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kvant-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('reads ranges, also into memory that threads share', async () => {
    const path = join(folder, 'bytes');
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) >> 3);
    await writeFile(path, bytes);
    const file = await openLocalFile(path);
    assert.equal(file.name, path);
    assert.equal(file.sizeBytes, 5000);
    const memory = new SharedArrayBuffer(2000);
    for (const into of [new Uint8Array(999), new Uint8Array(memory, 40, 999)]) {
      await file.read(into, 3001);
      assert.deepEqual(into.slice(), bytes.slice(3001, 4000));
    }
    await file.read(new Uint8Array(0), 5000);
    await file.close();
  });

  it('refuses what is no regular file, and says why', async () => {
    await assert.rejects(openLocalFile(join(folder, 'nothing.gguf')), {
      code: 'MODEL_NOT_FOUND',
      message: `there is no model file at "${folder}/nothing.gguf": check the path, or download the model first`,
    });
    await assert.rejects(openLocalFile(folder), {
      code: 'MODEL_NOT_FOUND',
      message: `"${folder}" is a directory: give the path of a .gguf file`,
    });
    await assert.rejects(openLocalFile('a\0b'), {
      code: 'FILE_ERROR',
      message: /cannot be opened \(ERR_INVALID_ARG_VALUE\)/,
    });
  });

  it('does not wait for a pipe', { skip: process.platform === 'win32' }, async () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    await assert.rejects(openLocalFile(path), { code: 'MODEL_NOT_FOUND', message: /is not a regular file/ });
  });

  it('tells when the file has shrunk, or is closed', async () => {
    const path = join(folder, 'shrinks');
    await writeFile(path, new Uint8Array(1000));
    const file = await openLocalFile(path);
    await truncate(path, 600);
    await assert.rejects(file.read(new Uint8Array(500), 400), {
      code: 'MODEL_TRUNCATED',
      message: /ends at 600 bytes, but 900 bytes are needed \(did it change while it was read\?\): download it again/,
    });
    await file.close();
    await assert.rejects(file.read(new Uint8Array(1), 0), {
      code: 'FILE_ERROR',
      message: /reading ".*" failed at byte 0/,
    });
  });
});
