import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlobFile } from './blob-file.ts';

const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) >> 3);

test('reads ranges of a blob, also into memory that threads share', async () => {
  const file = new BlobFile('chosen.gguf', new Blob([bytes]));
  assert.equal(file.sizeBytes, 5000);
  for (const into of [new Uint8Array(999), new Uint8Array(new SharedArrayBuffer(2000), 40, 999)]) {
    await file.read(into, 3001);
    assert.deepEqual(into.slice(), bytes.slice(3001, 4000));
  }
  await file.read(new Uint8Array(0), 5000);
  await file.close();
});

test('tells when a blob ends too early, or cannot be read any more', async () => {
  const file = new BlobFile('chosen.gguf', new Blob([bytes]));
  await assert.rejects(file.read(new Uint8Array(2), 4999), {
    code: 'MODEL_TRUNCATED',
    message: '"chosen.gguf" ends at 5,000 bytes, but 5,001 bytes are needed: download it again',
  });
  const gone = { size: 9, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('it has changed')) }) };
  await assert.rejects(new BlobFile('gone.gguf', gone as unknown as Blob).read(new Uint8Array(2), 0), {
    code: 'FILE_ERROR',
    message: 'reading "gone.gguf" failed (Error: it has changed): choose the file again',
  });
});
