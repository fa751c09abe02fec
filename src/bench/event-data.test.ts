import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDataOf } from './event-data.ts';

test('data of events is found, however the bytes are cut', async () => {
  const text = 'event: a\ndata: {"é": 1}\n\ndata: x\ndata: y\n\n: a comment\n\ndata: [DONE]\n\ndata: cut';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 3, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.slice(i * size, (i + 1) * size),
    );
    const found: string[] = [];
    for await (const data of eventDataOf(ReadableStream.from(chunks))) found.push(data);
    assert.deepEqual(found, ['{"é": 1}', 'x\ny', '[DONE]']);
  }
});
