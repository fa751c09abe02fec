import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { download, type DownloadProgress } from './download.ts';

const BYTES = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) >> 3);
let server: Server;
let origin: string;

before(async () => {
  server = createServer((request, response) => {
    if (request.url === '/missing') response.writeHead(404).end();
    else if (request.url === '/forbidden') response.writeHead(403).end();
    else if (request.url === '/unknown') response.write(BYTES, () => response.end());
    else {
      response.writeHead(200, { 'content-length': BYTES.length });
      if (request.url === '/whole') response.end(BYTES);
      else response.write(BYTES.subarray(0, 100_000), () => response.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(() => server.close());

test('downloads a file and tells how far it is', async () => {
  const seen: DownloadProgress[] = [];
  const blob = await download(`${origin}/whole`, (progress) => seen.push(progress));
  assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), BYTES);
  assert.deepEqual(seen.at(-1), { url: `${origin}/whole`, loadedBytes: 300_000, totalBytes: 300_000 });
  assert.ok(seen.length > 1 && seen.every(({ loadedBytes }, i) => i === 0 || loadedBytes > seen[i - 1].loadedBytes));
});

test('does without a length', async () => {
  const seen: DownloadProgress[] = [];
  assert.equal((await download(`${origin}/unknown`, (progress) => seen.push(progress))).size, 300_000);
  assert.equal(seen.at(-1)?.totalBytes, undefined);
});

test('tells a download that broke off, and what it cannot get, from one another', async () => {
  const get = (path: string): Promise<Blob> => download(`${origin}${path}`, () => undefined);
  await assert.rejects(get('/cut'), {
    code: 'MODEL_TRUNCATED',
    message: /^the download of ".*\/cut" broke off after 100,000 bytes of 300,000 bytes: try again$/,
  });
  await assert.rejects(get('/missing'), {
    code: 'MODEL_NOT_FOUND',
    message: /^there is nothing at ".*\/missing" \(status 404\): check the address$/,
  });
  await assert.rejects(get('/forbidden'), { code: 'FILE_ERROR', message: /is refused \(status 403\): check that/ });
  await assert.rejects(
    download('http://127.0.0.1:1/x', () => undefined),
    { code: 'FILE_ERROR', message: /cannot be fetched .*: check the address, .*\(CORS\)$/ },
  );
});
