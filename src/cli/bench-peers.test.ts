import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findPeer, peerDevice } from './bench-peers.ts';

test('a peer that is missing is an error with the command that installs it', async () => {
  await assert.rejects(findPeer('node-llama-cpp', '/nowhere/'), {
    code: 'BACKEND_UNAVAILABLE',
    message: 'node-llama-cpp is not installed: run "npm run bench:peers" in a checkout of Kvant\'s repository',
  });
});

test('a peer that is installed has its version and its script', async (t) => {
  const folder = `${await mkdtemp(join(tmpdir(), 'kvant-peers-'))}/`;
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(`${folder}node_modules/node-llama-cpp`, { recursive: true });
  await writeFile(`${folder}node_modules/node-llama-cpp/package.json`, '{"version":"3.22.1"}');
  assert.deepEqual(await findPeer('node-llama-cpp', folder), {
    name: 'node-llama-cpp',
    version: '3.22.1',
    driverPath: `${folder}node-llama-cpp.ts`,
  });
});

test('a peer computes where ours does', () => {
  const gpu = { name: 'webgpu', threads: 1, isa: 'NVIDIA H200' } as const;
  assert.deepEqual(peerDevice('webgpu', gpu), { gpu: true });
  assert.deepEqual(peerDevice('auto', gpu), { gpu: true });
  assert.deepEqual(peerDevice('webgpu-software', { ...gpu, isa: 'SwiftShader' }), {});
  assert.deepEqual(peerDevice(undefined, { name: 'wasm', threads: 2, isa: 'SIMD' }), {});
});
