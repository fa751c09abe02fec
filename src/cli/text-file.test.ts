import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readTextFile } from './text-file.ts';
import { readTokenFile } from './token-file.ts';

let folder: string;
before(async () => void (folder = await mkdtemp(join(tmpdir(), 'kvant-files-'))));
after(() => rm(folder, { recursive: true }));

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

function refused(promise: Promise<unknown>, message: RegExp): Promise<void> {
  return assert.rejects(promise, { name: 'KvantError', code: 'FILE_ERROR', message });
}

test('text is read as UTF-8, without a byte order mark', async () => {
  assert.equal(await readTextFile(await file('a.txt', 'Grüße, 世界\n')), 'Grüße, 世界\n');
  assert.equal(await readTextFile(await file('bom.txt', '\ufeffa')), 'a');
  assert.equal(await readTextFile(await file('empty.txt', '')), '');
});

test('what is no text is refused, with its name and the reason', async () => {
  await refused(readTextFile(join(folder, 'none.txt')), /^cannot read ".*none\.txt": no such file or directory$/);
  await refused(readTextFile(folder), /: it is a directory$/);
  await refused(readTextFile(await file('nul.txt', 'ab\0c')), /nul\.txt" is binary \(byte 2 is NUL\)/);
  await refused(readTextFile(await file('latin1.txt', Uint8Array.of(0x47, 0xfc))), /latin1\.txt" is not UTF-8.*iconv/);
});

test('tokens are read from JSON, and from 16-bit little-endian numbers in .u16 files', async () => {
  assert.deepEqual(await readTokenFile(await file('a.json', ' [0, 49151, 4294967295] ')), [0, 49151, 4294967295]);
  assert.deepEqual(await readTokenFile(await file('a.u16', Uint8Array.of(1, 0, 0xff, 0xbf))), [1, 0xbfff]);
});

test('what are no tokens is refused, with its name and what was expected', async () => {
  await refused(readTokenFile(await file('odd.u16', Uint8Array.of(1, 2, 3))), /odd\.u16" has 3 bytes/);
  await refused(readTokenFile(await file('none.u16', '')), /none\.u16" holds no token/);
  await refused(readTokenFile(await file('none.json', '[]')), /none\.json" holds no token/);
  await refused(readTokenFile(await file('words.json', 'one two')), /words\.json" is not JSON: expected a JSON array/);
  await refused(readTokenFile(await file('object.json', '{"ids": [1]}')), /object\.json" is no array/);
  for (const element of ['-1', '1.5', '"a"', 'null', '4294967296']) {
    await refused(readTokenFile(await file('x.json', `[1, ${element}]`)), /element 1 of ".*x\.json" is not a token id/);
  }
});
