import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { modelFingerprint } from './fingerprint.ts';
import { GgufFile } from './gguf-file.ts';
import { MemorySource } from './testing/memory-source.ts';

const MODEL = new URL('../../test/models/tiny/llama-d96.Q4_0.gguf', import.meta.url);
const OTHER = new URL('../../test/models/tiny/llama-d64.Q8_0.gguf', import.meta.url);

async function fingerprintOf(bytes: Uint8Array): Promise<string> {
  return modelFingerprint(await GgufFile.open(new MemorySource(bytes)));
}

test('the same weights have the same fingerprint, other weights another one', async () => {
  const [model, other] = await Promise.all([readFile(MODEL), readFile(OTHER)]);
  const fingerprint = await fingerprintOf(model);
  assert.match(fingerprint, /^sha256:[0-9a-f]{64}$/);
  assert.equal(await fingerprintOf(Uint8Array.from(model)), fingerprint);
  assert.notEqual(await fingerprintOf(other), fingerprint);
});

test('one changed byte at the start of a tensor changes it', async () => {
  const bytes = new Uint8Array(await readFile(MODEL));
  const file = await GgufFile.open(new MemorySource(bytes));
  const before = await modelFingerprint(file);
  const [tensor] = file.tensors.values();
  bytes[tensor.offsetBytes + 17] ^= 1;
  assert.notEqual(await fingerprintOf(bytes), before);
});
