import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { LogitsFile } from './logits-file.ts';
import { LogitsRecorder } from './logits-recorder.ts';

const folders: string[] = [];
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kvant-logits-'));
  folders.push(folder);
});
after(() => Promise.all(folders.map((path) => rm(path, { recursive: true }))));

function floatsOf(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(4 * index));
}

test('rows are float32, one after another, in a file that appears when it is complete', async () => {
  const path = join(folder, 'out.f32');
  const file = await LogitsFile.create(path);
  file.writeRow(Float32Array.of(-1, -2, -0.5));
  file.writeRow(Float32Array.of(0, -2, -3, -4, -5).subarray(2));
  assert.equal(file.numRows, 2);
  assert.equal((await readdir(folder)).includes('out.f32'), false);
  await file.commit();
  await file.discard();
  assert.deepEqual(floatsOf(await readFile(path)), [-1, -2, -0.5, -3, -4, -5]);
  assert.deepEqual(await readdir(folder), ['out.f32']);
});

test('what is not committed leaves nothing, and the old file as it was', async () => {
  const path = join(folder, 'out.f32');
  await writeFile(path, 'old');
  const file = await LogitsFile.create(path);
  file.writeRow(Float32Array.of(1));
  await file.discard();
  assert.deepEqual(await readdir(folder), ['out.f32']);
  assert.equal(await readFile(path, 'utf8'), 'old');
});

test('the file behind a link is replaced, not the link', async () => {
  await writeFile(join(folder, 'target'), 'old');
  await symlink(join(folder, 'target'), join(folder, 'link'));
  const file = await LogitsFile.create(join(folder, 'link'));
  file.writeRow(Float32Array.of(1.5));
  await file.commit();
  assert.deepEqual(floatsOf(await readFile(join(folder, 'target'))), [1.5]);
});

test('a path that cannot be written is refused before anything is computed', async () => {
  const refused = (path: string, message: RegExp) =>
    assert.rejects(LogitsFile.create(path), { name: 'KvantError', code: 'FILE_ERROR', message });
  await refused(join(folder, 'none', 'out.f32'), /^cannot write ".*out\.f32": no such file or directory$/);
  await refused(folder, /: it is a directory$/);
});

const hasFullDevice = process.platform === 'linux';

test('a full disk stops the generation and is told', { skip: !hasFullDevice }, async () => {
  const file = await LogitsFile.create('/dev/full');
  const recorder = new LogitsRecorder(file, [0, 1]);
  recorder.options.onLogProbs(0, Float32Array.of(1));
  assert.equal(recorder.failed.aborted, true);
  const message = 'cannot write "/dev/full": no space left on the device';
  await assert.rejects(recorder.finish(true), { code: 'FILE_ERROR', message });
  await file.discard();
});

test('a device is written directly and stays what it is', { skip: !hasFullDevice }, async () => {
  const file = await LogitsFile.create('/dev/null');
  file.writeRow(Float32Array.of(1));
  await file.commit();
  assert.equal((await readFile('/dev/null')).length, 0);
});

test('a generation that gives too few rows leaves no file, and is an error unless the user stopped it', async () => {
  for (const aborted of [true, false]) {
    const file = await LogitsFile.create(join(folder, 'out.f32'));
    const recorder = new LogitsRecorder(file, [3, 4]);
    assert.deepEqual(recorder.options.logProbsAt, [3, 4]);
    recorder.options.onLogProbs(3, Float32Array.of(1));
    const finished = recorder.finish(aborted);
    if (aborted) await finished;
    else await assert.rejects(finished, { code: 'ENGINE_FAILED', message: /gave 1 of 2 rows/ });
    await file.discard();
    assert.deepEqual(await readdir(folder), []);
  }
});
